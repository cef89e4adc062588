"""Linked views in a real browser: what is pointed at, brushed and dragged shows in every other view."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from browsing import browser, click, contrasts, drag, focusable, keep, labels, look, on_screen, opened, source

import shapeshift as ss
from shapeshift.data.blocks import source_of
from shapeshift.show.explorer import Explorer, explorer
from shapeshift.show.report import write_report
from shapeshift.show.served import server_of

ROWS, COLUMNS = 8, 9
HOSTILE = "</script><script>alert(1)</script>$$x$$"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def X() -> xr.DataArray:
    """A map whose rows count down, as microscopes have them, under a name that means harm."""
    flat, _ = ss.synthetic.article(n=ROWS * COLUMNS, seed=1)
    coords = {
        "y": ("y", 0.5 * np.arange(ROWS)[::-1], {"units": "um"}),
        "x": ("x", 0.25 * np.arange(COLUMNS), {"units": "um"}),
        "energy": ("energy", flat["x"].values, {"units": "eV"}),
    }
    values = flat.values.reshape(ROWS, COLUMNS, -1)
    made = xr.DataArray(values, dims=("y", "x", "energy"), coords=coords, name=HOSTILE)
    return made.assign_attrs(source=f"{HOSTILE}.csv")


@pytest.fixture(scope="module")
def model(X) -> ss.ShiftVAE:
    return ss.ShiftVAE(n_latent=2, epochs=15, random_state=0).fit(X)


@pytest.fixture(scope="module")
def p(X, model) -> ss.Posterior:
    return model.posterior(X)


@pytest.fixture(scope="module")
def report(X, model, p, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(model, X, p, path).as_uri()


@pytest.fixture
def page(chromium, report) -> Iterator[Any]:
    with opened(chromium, report) as found:
        yield found


def settled(page: Any, script: str, seconds: float = 60.0) -> None:
    """Wait until something holds of the views; asked from here, for the page may not evaluate text itself."""
    for _ in range(int(seconds / 0.02)):
        if look(page, f"return {script}"):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never came to pass: {script}")


def shown(page: Any, row: int) -> None:
    settled(page, f"look.root.dataset.shown === '{row}'")


# --- the report of a map -------------------------------------------------------------------------


def test_a_pixel_that_is_clicked_shows_its_signal(page, X, model, p) -> None:
    row, column = 2, 7
    click(page, "places", float(X["x"][column]), float(X["y"][row]))
    k = row * COLUMNS + column
    shown(page, k)
    raw, drawn, moved = (source(page, f"signal-{name}") for name in ("raw", "drawn", "aligned"))
    step = np.ptp(X.values) / 30_000
    np.testing.assert_allclose(raw["y"], X.values[row, column], atol=step)
    np.testing.assert_allclose(drawn["y"], model.reconstruct(X).values[row, column], atol=2 * step)
    np.testing.assert_allclose(moved["x"], X["energy"].values - p.shift[k], rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        source(page, "residual-line")["y"], np.subtract(raw["y"], drawn["y"]), atol=1e-6
    )
    mark = source(page, "signal-shift")
    np.testing.assert_allclose(np.subtract(mark["x1"], mark["x0"]), 2 * p.shift_sd[k], rtol=1e-4)
    told = page.locator(".told").inner_text()
    assert told.startswith(f"signal {k} (y {X['y'].values[row]:g}, x {X['x'].values[column]:g})")
    assert "eV" in told
    here = source(page, "plane-here")
    np.testing.assert_allclose([here["x"][0], here["y"][0]], p.z[k], rtol=1e-5)
    keep(page, "report-map")


def test_a_mark_that_is_clicked_shows_its_place(page, X, p) -> None:
    k = int(np.argmax(p.z[:, 0]))
    click(page, "plane", *map(float, p.z[k]))
    shown(page, k)
    here = source(page, "places-here")
    assert (here["x"][0], here["y"][0]) == (X["x"].values[k % COLUMNS], X["y"].values[k // COLUMNS])


def test_what_is_brushed_among_the_shapes_is_lit_on_the_map_and_saved(page, X, p) -> None:
    low, high = np.quantile(p.z, [0.2, 0.8], axis=0)
    drag(page, "plane", tuple(map(float, low)), tuple(map(float, high)))
    settled(page, "look.state.count > 0")
    chosen = np.array(look(page, "return Array.from(look.state.selected)"), dtype=bool)
    well_inside = ((p.z > low + 0.05) & (p.z < high - 0.05)).all(1)
    well_outside = ((p.z < low - 0.05) | (p.z > high + 0.05)).any(1)
    assert chosen[well_inside].all()
    assert not chosen[well_outside].any()
    mask = look(page, "const i = look.model('places-mask').data.image[0]; return Array.from(i)")
    lit = np.array(mask).reshape(ROWS, COLUMNS)[::-1].ravel() == 0  # the picture's rows count up
    assert np.array_equal(lit, chosen)
    assert sum(source(page, "histogram-chosen")["top"]) == chosen.sum()
    keep(page, "report-brushed")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save selection as CSV").click()
    table = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))
    assert [int(line["signal"]) for line in table] == np.flatnonzero(chosen).tolist()
    np.testing.assert_allclose([float(line["shift"]) for line in table], p.shift[chosen], rtol=1e-6)
    np.testing.assert_allclose([float(line["z2_sd"]) for line in table], p.z_sd[chosen, 1], rtol=1e-6)
    assert {(float(line["y"]), float(line["x"])) for line in table} == {
        (float(X["y"][k // COLUMNS]), float(X["x"][k % COLUMNS])) for k in np.flatnonzero(chosen)
    }
    page.get_by_role("button", name="Clear selection").click()
    settled(page, "look.state.count === 0")


def test_a_box_on_the_map_or_the_histogram_selects_too(page, X, p) -> None:
    x, y = X["x"].values, X["y"].values
    drag(page, "places", (float(x[1]) - 0.1, float(y[5]) - 0.2), (float(x[3]) + 0.1, float(y[4]) + 0.2))
    settled(page, "look.state.count > 0")
    chosen = np.array(look(page, "return Array.from(look.state.selected)")).reshape(ROWS, COLUMNS)
    wanted = np.zeros((ROWS, COLUMNS), int)
    wanted[4:6, 1:4] = 1
    assert np.array_equal(chosen, wanted)
    middle = float(np.median(p.shift))
    top = max(source(page, "histogram-all")["top"])
    drag(page, "histogram", (middle, 0.3 * top), (float(p.shift.max()) + 0.05, 0.6 * top))
    settled(page, "look.state.count !== 6")
    found = np.array(look(page, "return Array.from(look.state.selected)"), dtype=bool)
    assert abs(found.sum() - (p.shift >= middle).sum()) <= 2  # a box ends on a pixel of the screen
    page.keyboard.press("Escape")
    page.locator("#look-places").press("Escape")
    settled(page, "look.state.count === 0")


def test_the_slider_and_the_pad_move_the_curve(page, model) -> None:
    slider = page.locator("[data-latent='0']")
    slider.evaluate("s => { s.value = 0.7; s.dispatchEvent(new Event('input')); }")
    z = look(page, "return look.state.z")
    assert z[0] == pytest.approx(0.7, abs=0.006)
    exact = model.generate(np.array([z]))[0]
    size = np.ptp(exact)
    np.testing.assert_allclose(source(page, "decoded-line")["y"], exact, atol=0.02 * size)
    drag(page, "pad", (0.0, 0.0), (-0.5, 0.5))
    moved = look(page, "return look.state.z")
    np.testing.assert_allclose(moved, [-0.5, 0.5], atol=0.05)
    np.testing.assert_allclose(
        source(page, "decoded-line")["y"], model.generate(np.array([moved]))[0], atol=0.02 * size
    )
    assert float(slider.input_value()) == pytest.approx(moved[0], abs=0.01)
    before = source(page, "decoded-line")["x"]
    page.locator("[data-pose='shift']").evaluate(
        "s => { s.value = s.max; s.dispatchEvent(new Event('input')); }"
    )
    reach = float(page.locator("[data-pose='shift']").input_value())
    np.testing.assert_allclose(source(page, "decoded-line")["x"], np.add(before, reach), atol=1e-6)


def test_colours_and_histogram_follow_the_quantity_that_is_chosen(page, p) -> None:
    page.get_by_label("Colour by").select_option("noise_sd")
    settled(page, "look.model('histogram').below[0].axis_label.startsWith('noise sd')")
    image = look(page, "return Array.from(look.model('places-image').data.image[0])")
    np.testing.assert_allclose(np.reshape(image, (ROWS, COLUMNS))[::-1].ravel(), p.noise_sd, rtol=1e-5)
    assert "noise sd" in look(page, "return look.model('places').title.text")


def test_what_the_pointer_is_over_is_ringed_elsewhere_and_nothing_jumps(page, X, p) -> None:
    before = page.locator("#look-plane").bounding_box()
    page.mouse.move(*on_screen(page, "places", float(X["x"][4]), float(X["y"][3])))
    k = 3 * COLUMNS + 4
    settled(page, f"look.state.hover === {k} && look.model('plane-hover').data.x.length === 1")
    np.testing.assert_allclose(source(page, "plane-hover")["x"], p.z[k, :1], rtol=1e-5)
    page.locator("#look-plane").scroll_into_view_if_needed()
    after = page.locator("#look-plane").bounding_box()
    assert (after["width"], after["height"]) == (before["width"], before["height"])


def test_a_mark_under_the_pointer_is_ringed_on_the_map(page, X, p) -> None:
    k = int(np.argmax(p.z[:, 0]))
    page.mouse.move(*on_screen(page, "plane", *map(float, p.z[k])))
    settled(page, f"look.state.hover === {k} && look.model('places-hover').data.x.length === 1")
    ring = source(page, "places-hover")
    assert (ring["x"][0], ring["y"][0]) == (X["x"].values[k % COLUMNS], X["y"].values[k // COLUMNS])
    assert page.locator(".pointed").inner_text().startswith(f"under the pointer: signal {k} ")
    edge = look(page, "const {x_range: x, y_range: y} = look.model('plane'); return [x.end, y.start]")
    page.mouse.move(*on_screen(page, "plane", *edge))  # far from any mark
    settled(page, "look.state.hover === -1 && look.model('places-hover').data.x.length === 0")


def test_keys_move_on_and_everything_has_a_name(page, X) -> None:
    page.evaluate("window.scrollTo(0, 0)")
    places = page.locator("#look-places")
    places.focus()
    k = int(look(page, "return look.state.current"))
    places.press("ArrowRight")
    shown(page, k + 1)
    places.press("ArrowDown")  # the first row is drawn at the bottom, as `plot.map` does
    shown(page, k + 1 - COLUMNS)
    assert focusable(page)[:2] == ["colour", "places"]
    assert len(focusable(page)) == 5  # what to colour by, the map, two latents and the shift
    assert all(labels(page))
    assert page.locator("section.around .view:not([aria-label])").count() == 0
    assert page.locator(".told[aria-live=polite]").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(page, scheme) -> None:
    page.emulate_media(color_scheme=scheme)
    page.mouse.move(*on_screen(page, "places", 1.0, 1.5))
    settled(page, "look.root.querySelector('.pointed').textContent !== ''")
    ratios = contrasts(page)
    assert len(ratios) >= 7
    assert min(ratios) >= 4.5  # WCAG 2.2, 1.4.3


# --- many signals, images, channels --------------------------------------------------------------


def many(n: int) -> tuple[xr.DataArray, ss.Posterior, ss.ShiftVAE]:
    X, _ = ss.synthetic.article(n=n, seed=2)
    model = ss.ShiftVAE(n_latent=1, epochs=3, random_state=0).fit(X[:500])
    return X, model.posterior(X, refine=False), model


@pytest.mark.parametrize("n", [1_000, 100_000])
def test_a_page_of_many_signals(chromium, tmp_path, n) -> None:
    X, p, model = many(n)
    path = ss.explore(X, p, model).save(tmp_path / "views.html")
    assert path.stat().st_size < 4e6
    with opened(chromium, path.as_uri()) as page:
        told = page.locator("section.around").inner_text()
        count = look(page, "return look.n")
        assert (f"{count} of the {n} signals" in told) == (count < n)
        numbers = look(
            page, "return look.numbers ? Array.from(look.numbers) : Array.from({length: look.n}, (_, i) => i)"
        )
        k = 3 * count // 4
        click(page, "places", float(numbers[k]), float(p.shift[numbers[k]]))
        settled(page, f"Math.abs(look.state.current - {k}) < {count // 50}")
        now = int(look(page, "return look.state.current"))
        shown(page, now)
        np.testing.assert_allclose(
            source(page, "signal-raw")["y"], X.values[numbers[now]], atol=np.ptp(X.values) / 3e4
        )
        keep(page, f"page-{n}")


@contextmanager
def served(found: Explorer) -> Iterator[str]:
    server, address = server_of(found.ask)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("n", [1_000, 100_000])
def test_the_explorer_shows_every_signal(chromium, n) -> None:
    X, p, model = many(n)
    found = Explorer(model, source_of(X, images=False), p.to_dataset(), "many")
    with served(found) as address, opened(chromium, address) as page:
        assert look(page, "return look.n") == n
        k = n - 7
        page.evaluate(f"document.querySelector('section.around').look.show({k})")
        shown(page, k)
        np.testing.assert_allclose(source(page, "signal-raw")["y"], X.values[k], rtol=1e-6, atol=1e-6)
        exact = model.generate(p.z[k : k + 1], shift=p.shift[k])[0]
        np.testing.assert_allclose(source(page, "signal-drawn")["y"], exact, atol=1e-5)
        page.locator("[data-latent='0']").evaluate(
            "s => { s.value = 0.31; s.dispatchEvent(new Event('input')); }"
        )
        settled(page, "look.root.dataset.decoded === 'exact'")
        z = np.array([look(page, "return look.state.z")])
        np.testing.assert_allclose(source(page, "decoded-line")["y"], model.generate(z)[0], atol=1e-5)
        keep(page, f"explorer-{n}")


def test_a_run_is_explored_from_its_file(chromium, X, model, p, tmp_path) -> None:
    from shapeshift.show.run import write_run

    X.rename(None).assign_attrs(source="").to_netcdf(tmp_path / "a.nc")
    (tmp_path / "run").mkdir()
    write_run(tmp_path / "run", model, X, p, reading={"file": str(tmp_path / "a.nc"), "kind": "signal"})
    with (
        explorer(tmp_path / "run", None, None, {}) as found,
        served(found) as address,
        opened(chromium, address) as page,
    ):
        click(page, "places", float(X["x"][1]), float(X["y"][6]))
        shown(page, 6 * COLUMNS + 1)
        np.testing.assert_allclose(source(page, "signal-raw")["y"], X.values[6, 1], atol=1e-6)


def test_a_server_that_has_ended_is_told_of_and_asked_again(chromium, X, model, p) -> None:
    found = Explorer(model, source_of(X, images=False), p.to_dataset(), "a map")
    expected = ("failed http", "Failed to load resource")
    row = 6 * COLUMNS + 1
    with served(found) as address, opened(chromium, address, expected=expected) as page:
        page.route("**/signal/*", lambda route: route.abort())
        click(page, "places", float(X["x"][1]), float(X["y"][6]))
        settled(page, "look.root.querySelector('.told').textContent.includes('behind this page has ended')")
        page.unroute("**/signal/*")
        page.wait_for_timeout(500)  # or two clicks are one, and select
        click(page, "places", float(X["x"][1]), float(X["y"][6]))
        shown(page, row)
        assert page.locator(".told").inner_text().startswith(f"signal {row} ")


def turned() -> tuple[np.ndarray, ss.ImageVAE, ss.Posterior]:
    rng = np.random.default_rng(0)
    i, j = np.mgrid[-1:1:12j, -1:1:14j]
    turn = np.radians(rng.uniform(-40, 40, 60))[:, None, None]
    u, v = j * np.cos(turn) - i * np.sin(turn), j * np.sin(turn) + i * np.cos(turn)
    images = np.exp(-((u / 0.6) ** 2) - (v / 0.2) ** 2) + 0.02 * rng.normal(size=(60, 12, 14))
    model = ss.ImageVAE(n_latent=2, warps=("rotation",), epochs=5, random_state=0).fit(images)
    return images, model, model.posterior(images)


def test_angles_to_all_sides_have_colours_that_close(chromium, tmp_path) -> None:
    images, model, p = turned()
    p = replace(p, rotation=np.linspace(-179.0, 179.0, len(images)))
    path = ss.explore(images, p, model).save(tmp_path / "round.html")
    with opened(chromium, path.as_uri()) as page:
        colours = (
            "const m = look.model('plane-colours'); return [m.palette[0], m.palette[255], m.low, m.high]"
        )
        first, last, low, high = look(page, colours)
        assert (low, high) == (-180, 180)
        near = [abs(int(first[k : k + 2], 16) - int(last[k : k + 2], 16)) for k in (1, 3, 5)]
        assert max(near) <= 2
        page.get_by_label("Colour by").select_option("z1")
        settled(page, "look.model('histogram').below[0].axis_label.startsWith('z1')")
        first, last, low, high = look(page, colours)
        assert (first, last) == ("#440154", "#fde725")
        assert -5 < low < high < 5


def test_images_are_shown_turned_back_and_decoded(chromium, tmp_path) -> None:
    images, model, p = turned()
    i, j = np.mgrid[-1:1:12j, -1:1:14j]
    path = ss.explore(images, p, model).save(tmp_path / "images.html")
    with opened(chromium, path.as_uri()) as page:
        page.evaluate("document.querySelector('section.around').look.show(11)")
        shown(page, 11)
        raw = look(page, "return Array.from(look.model('raw-image').data.image[0])")
        np.testing.assert_allclose(raw, images[11].ravel(), atol=np.ptp(images) / 3e4)
        z = look(page, "return look.state.z")
        page.locator("[data-pose='angle']").evaluate(
            "s => { s.value = 30; s.dispatchEvent(new Event('input')); }"
        )
        drawn = np.array(
            look(page, "return Array.from(look.model('decoded-image').data.image[0], v => v)"), dtype=float
        )
        exact = model.generate(np.array([z]), rotation=30.0)[0]
        inside = np.hypot(i, j) < 0.7
        assert np.abs(drawn.reshape(12, 14) - exact)[inside].max() < 0.2 * np.ptp(
            exact
        )  # bilinear, of few pixels
        keep(page, "images")


def test_channels_are_shown_one_at_a_time(chromium, tmp_path) -> None:
    rng, x = np.random.default_rng(0), np.linspace(-8, 8, 60)
    u = x - rng.normal(0, 1.5, (80, 1))
    X = np.stack([np.exp(-(u**2) / 2), 40 + 30 * np.arctan(u)], 1) + 0.05 * rng.normal(size=(80, 2, 60))
    model = ss.ShiftVAE(n_latent=1, epochs=5, random_state=0).fit(X, x=x)
    path = ss.explore(X, model.posterior(X), model).save(tmp_path / "channels.html")
    with opened(chromium, path.as_uri()) as page:
        page.get_by_label("Channel").select_option("1")
        settled(page, "look.model('signal-raw').data.y.at(-1) > 60")
        k = int(look(page, "return look.state.current"))
        np.testing.assert_allclose(source(page, "signal-raw")["y"], X[k, 1], atol=np.ptp(X[:, 1]) / 3e4)
        keep(page, "channels")


def test_a_notebook_gets_a_frame_that_keeps_to_itself(X, model, p) -> None:
    views = ss.explore(X, p, model)
    told = views._repr_html_()
    assert told.startswith("<iframe srcdoc=")
    assert 'sandbox="allow-scripts allow-downloads"' in told
    assert told.count("<iframe") == 1
    assert HOSTILE not in told
    assert "views" in repr(views)
    with pytest.raises(ss.ShapeshiftError, match="got 72 signals and results of 10"):
        ss.explore(X, model.posterior(X.values.reshape(72, -1)[:10]), model)
