"""The report puts doubts first, needs nothing but itself, and takes nothing from a file for markup."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from shapeshift import ShapeshiftError
from shapeshift.analysis.baselines import pca
from shapeshift.analysis.calibration import Calibration
from shapeshift.show.by_channel import parts
from shapeshift.show.page import Page, Picture, Section, write_page
from shapeshift.show.report import _drawn, write_report
from shapeshift.show.style import sheet

HOSTILE = "<script>alert('x')</script><img src=http://evil.example/x.png>&\"'$"


class Reader(HTMLParser):
    """Tags with their attributes, and the text in order."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words = [], []
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def ids(self):
        return [a["id"] for t, a in self.tags if t == "figure"]


def report(case, tmp_path, **options):
    X, p, m = case
    return Reader(write_report(m, X, p, tmp_path / "report.html", **options))


@pytest.fixture
def unpainted(monkeypatch):
    """Figures are made but not painted: for what is told in words."""
    monkeypatch.setattr(Picture, "png", b"PNG")
    monkeypatch.setattr(Picture, "source", "data:,")


@pytest.fixture(scope="module")
def of_series(case, tmp_path_factory):
    return report(case, tmp_path_factory.mktemp("series"))


@pytest.fixture(scope="module")
def of_map(map_case, tmp_path_factory):
    cal = Calibration(0.68, 0.951, 1.02, 0.004, 0.003, 300, 0.05)
    return report(map_case, tmp_path_factory.mktemp("map"), calibration=cal, baselines=[pca(map_case[0], 4)])


def test_doubts_come_before_everything_else(case, tmp_path, unpainted):
    X, p, m = case
    told = report((X, p, replace(m, converged_=False)), tmp_path)
    places = [told.text.index(words) for words in ("did not converge", "What was found", "What was fitted")]
    assert places == sorted(places)
    assert told.tags[[t for t, _ in told.tags].index("section")][1]["id"] == "doubts"


def test_the_gravest_doubt_is_marked_as_such(case, tmp_path, unpainted):
    X, p, m = case
    told = report((X, p, replace(m, converged_=False)), tmp_path)
    marks = [a["class"] for t, a in told.tags if t == "li"]
    assert marks[0] == "stop"


def test_a_fit_without_doubts_says_so(case, tmp_path, unpainted):
    X, p, m = case
    sound = replace(p, flags=np.full(len(p.shift), ""), z=np.random.default_rng(2).normal(size=p.z.shape))
    sound = replace(sound, z_sd=np.full(p.z.shape, 0.1))
    assert "No doubts" in report((X, sound, replace(m, found=sound)), tmp_path).text


def test_known_displacements_are_told_in_numbers(of_map, of_series):
    for words in (
        "300 pairs of signals",
        "hold it in 68.0 %, 95 % intervals in 95.1 %",
        "1.02 times the least",
        "0.4 % of the pairs are off",
        "0.3 % of the spread of a shape latent",
        "5 % of the squared error of a shift",
    ):
        assert words in of_map.text
    assert "How far to trust" not in of_series.text


def test_only_the_reports_own_scripts_may_run(of_map):
    policy = next(a["content"] for t, a in of_map.tags if a.get("http-equiv") == "Content-Security-Policy")
    scripts = re.findall(r"<script>(.*?)</script>", of_map.html, flags=re.S)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert len(digests) == 2
    assert "unsafe-eval" not in policy
    assert re.findall(r"script-src ([^;]*)", policy)[0].count("unsafe") == 0


def test_nothing_is_fetched_from_elsewhere(of_map):
    for tag, attributes in of_map.tags:
        assert tag not in {"link", "iframe", "object", "embed"}
        assert not {"href", "srcset", "onload", "onerror"} & set(attributes)
        assert "src" not in attributes or attributes["src"].startswith("data:image/webp;base64,")
    words = re.sub(r"<script>.*?</script>", "", of_map.html, flags=re.S)  # those a browser test watches
    assert not re.search(r"https?:|url\(|@import", words)
    assert "default-src &#39;none&#39;" in of_map.html


def test_every_figure_has_a_title_and_a_caption(of_map):
    told = of_map
    captions = [t for t, _ in told.tags if t == "figcaption"]
    images = [a for t, a in told.tags if t == "img"]
    assert len(images) == len(captions) == len(told.ids()) >= 14
    assert all(len(a["alt"]) > 8 for a in images)
    assert len(set(told.ids())) == len(told.ids())


def test_a_map_gets_maps_and_a_series_a_sequence(of_series, of_map):
    series, mapped = of_series.ids(), of_map.ids()
    assert "sequence" in series
    assert not [name for name in series if name.startswith("map")]
    assert {"map_shift", "map_shift_sd", "map_z1"} <= set(mapped)
    assert "map_z2" not in mapped  # it carries nothing
    assert "sequence" not in mapped


def test_what_was_solved_for_is_told_and_gains_are_mapped(map_case, case, tmp_path, unpainted):
    X, p, m = map_case
    assert "map_gain" not in report(map_case, tmp_path).ids()
    assert "nothing: every difference of height and background is part of the shape" in " ".join(
        report(map_case, tmp_path).text.split()
    )
    told = report((X, p, replace(m, nuisance_=("gain", "offset"))), tmp_path)
    assert "map_gain" in told.ids()
    assert "solved for in each signal gain, offset" in told.text
    X, p, m = case
    assert "map_gain" not in report((X, p, replace(m, nuisance_=("gain",))), tmp_path).ids()


def test_numbers_come_with_their_units(case, of_series):
    _, p, m = case
    text = of_series.text
    low, high = (f"{v:.3g}".replace("-", "−") for v in (p.shift.min(), p.shift.max()))
    assert f"{low} ... {high} eV" in text
    assert "median error bar of a shift 0.05 eV" in text
    assert "energy (eV): 80 samples from 0 to 20" in text
    assert "fitted in 3.2 s" in text
    assert m.zero_ in text
    assert "1 of 2" in text
    assert all(name in text for name in m.options_)


def test_words_from_a_file_are_never_markup(case, tmp_path):
    X, p, m = case
    X = X.rename(energy=HOSTILE)
    X[HOSTILE].attrs["units"] = HOSTILE
    X.attrs |= {"source": HOSTILE, "notes": HOSTILE}
    m = replace(m, axis_name_=HOSTILE, axis_units_=HOSTILE, zero_=HOSTILE, options_={HOSTILE: HOSTILE})
    told = report((X, replace(p, axis_name=HOSTILE, axis_units=HOSTILE), m), tmp_path, title=HOSTILE)
    assert [a.get("type") for t, a in told.tags if t == "script"] == ["application/json"] * 2 + [None] * 2
    assert all(a.get("src", "data:").startswith("data:") for _, a in told.tags)
    assert "alert('x')" in told.text  # it is there, as text


def test_without_the_warp_there_is_nothing_on_shifts(case, tmp_path, unpainted):
    X, p, m = case
    still = replace(p, shift=np.zeros_like(p.shift), shift_sd=np.zeros_like(p.shift))
    told = report((X, still, replace(m, shift_sd_=0.0, found=still)), tmp_path)
    assert not {"alignment", "heatmap", "shifts", "sequence"} & set(told.ids())
    assert "sd of the shifts" not in told.text


def test_pictures_of_a_part_of_the_signals_say_so(case):
    X, p, m = case
    shown = parts(m, X, p, 40)
    assert _drawn(shown, p) == ""
    few = shown[0]._replace(some=replace(p, shift=p.shift[:10]))
    assert "from 10 of the 40 signals" in _drawn([few], p)


def test_plain_arrays_are_told_along_the_axis_of_the_model(case, tmp_path, unpainted):
    X, p, m = case
    told = report((X.values, p, m), tmp_path)
    assert "energy (eV): 80 samples from 0 to 20" in told.text
    assert "alignment" in told.ids()


@pytest.mark.parametrize(("format", "kinds"), [("png", {".png"}), ("pdf", {".png", ".pdf"})])
def test_figures_are_saved_in_the_format_asked_for(format, kinds, case, tmp_path):
    told = report(case, tmp_path, figures=tmp_path / "figures", format=format)
    saved = {(f.stem, f.suffix) for f in (tmp_path / "figures").iterdir()}
    assert saved == {(name, kind) for name in told.ids() for kind in kinds}


def test_an_unknown_format_is_refused_before_anything_is_written(case, tmp_path):
    with pytest.raises(ShapeshiftError, match="got the format 'gif', needed one of png, svg, pdf"):
        report(case, tmp_path, figures=tmp_path / "figures", format="gif")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_no_half_written_page(tmp_path):
    figure = sheet(1, 1)
    figure.text(0.5, 0.5, r"$\nosuch$")  # fails when it is drawn
    page = Page("t", "", None, (Section("s", pictures=(Picture("p", figure, "t", "c"),)),))
    (tmp_path / "report.html").write_text("the last one")
    with pytest.raises(ValueError, match="nosuch"):
        write_page(page, tmp_path / "report.html")
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [("report.html", "the last one")]


def test_a_page_that_cannot_be_put_in_place_leaves_nothing_beside_it(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError, match=r"report\.html"):
        write_page(Page("t", "", None, ()), tmp_path / "report.html")
    assert [f.name for f in tmp_path.iterdir()] == ["report.html"]
