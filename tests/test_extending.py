"""The page on extending: its reader, noise model and warp are used, and obey the laws of their kind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from laws import LikelihoodLaws, WarpLaws
from torch import Tensor
from torch.distributions import AffineTransform, SigmoidTransform, TransformedDistribution, Uniform

import shapeshift as ss
from shapeshift.data import files
from shapeshift.model import likelihoods

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
NAMES: dict = {"__name__": "page"}


@pytest.fixture(scope="module", autouse=True)
def page(tmp_path_factory):
    """All blocks of the page, run in their order; what they register is gone afterwards."""
    known = dict(files.READERS), dict(likelihoods.LIKELIHOODS)
    folder = tmp_path_factory.mktemp("extending")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
        assert len(blocks) == 4
        for k, text in enumerate(blocks):
            exec(compile(text, f"extending.md[{k}]", "exec"), NAMES)
        yield folder
    for registry, before in zip((files.READERS, likelihoods.LIKELIHOODS), known, strict=True):
        registry.clear()
        registry.update(before)


class TestFlank(WarpLaws):
    @property
    def subject(self):
        return NAMES["Flank"]

    def make(self):
        return NAMES["Flank"](0.4)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return g + h

    def inverted(self, g: Tensor) -> Tensor:
        return -g

    def identity(self) -> Tensor:
        return torch.zeros(1, dtype=torch.float64)


class TestLogistic(LikelihoodLaws):
    @property
    def subject(self):
        return NAMES["Logistic"]

    def make(self):
        return NAMES["Logistic"](misfit=0.2)

    def reference(self, likelihood, values: Tensor, noise: Tensor) -> TransformedDistribution:
        sd = (noise[:, :1] ** 2 + (0.2 * noise[:, 1:]) ** 2 + likelihoods.SMALLEST**2).sqrt()
        width = (sd * 3**0.5 / torch.pi).expand_as(values)
        unit = Uniform(torch.zeros_like(values), torch.ones_like(values))
        return TransformedDistribution(unit, [SigmoidTransform().inv, AffineTransform(values, width)])

    # a transformed distribution of torch knows neither its sd nor its support
    def test_rough_sd_is_near_the_real_one(self, likelihood, values, noise):
        x = self.draws(likelihood, values.mean(1, keepdim=True).expand(-1, 4000), noise, 1)[0]
        torch.testing.assert_close(likelihood.rough_sd(x, noise), x.std(1), rtol=0.1, atol=0)

    def test_support_is_that_of_the_distribution(self, likelihood, values, noise):
        x = torch.tensor([-1e6, 0.0, 3.0], dtype=torch.float64)
        assert likelihood.inside(x).all()
        assert not likelihood.inside(torch.tensor([float("nan"), float("inf")])).any()


def test_a_reader_refuses_as_others_do(page) -> None:
    (page / "two.xy").write_text("# x\n0 1\n1 2\n\n0 1\n2 2\n")
    with pytest.raises(ss.ShapeshiftError, match=r"two\.xy: got spectra on different axes, needed one"):
        ss.open(page / "two.xy")
    (page / "bad.xy").write_text("# x\n0 one\n")
    with pytest.raises(ss.ShapeshiftError, match=r"bad\.xy: got a damaged file .* needed a whole \.xy file"):
        ss.open(page / "bad.xy")


def test_what_is_not_registered_is_refused(page) -> None:
    (page / "lines.xyz").write_text("0 1")
    with pytest.raises(ss.ShapeshiftError, match=r"got the ending '\.xyz'"):
        ss.open(page / "lines.xyz")
    with pytest.raises(ss.ShapeshiftError, match="likelihood"):
        ss.ShiftVAE(likelihood="cauchy").fit(ss.synthetic.article(n=40, seed=0)[0])
