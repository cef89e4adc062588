"""Laws that every warp, decoder and likelihood keeps, as suites to inherit from.

A new warp, decoder or likelihood is tested by a class of a few lines: inherit the suite, say how to
make one. A test of each folder sees to it that no class goes without.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from types import ModuleType

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jvp

from shapeshift.model.latents import gaussian_divergence
from shapeshift.model.warps import Shift, pull_back

TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def final_subclasses(module: ModuleType, base: type) -> set[type]:
    """The concrete classes of a module that derive from ``base``."""
    found = (c for _, c in inspect.getmembers(module, inspect.isclass) if issubclass(c, base))
    return {c for c in found if not inspect.isabstract(c) and getattr(c, "__final__", False)}


def covered(suite: type) -> set[type]:
    """The classes whose laws are tested by the heirs of a suite."""
    subjects = {heir.subject for heir in suite.__subclasses__()}
    return {subject for subject in subjects if isinstance(subject, type)}  # a page's own are known later


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """Normal draws in double precision, from a generator of their own."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class WarpLaws(ABC):
    """A group that acts on coordinates: (gh)^-1 u = h^-1 (g^-1 u)."""

    subject: type
    n_dims = 1

    @abstractmethod
    def make(self):
        """An instance to be tested."""

    @abstractmethod
    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """Parameters of "first h, then g"."""

    @abstractmethod
    def inverted(self, g: Tensor) -> Tensor:
        """Parameters of the inverse element."""

    @abstractmethod
    def identity(self) -> Tensor:
        """Parameters (G,) of the element that does nothing."""

    @pytest.fixture
    def warp(self):
        return self.make().double()

    @pytest.fixture
    def u(self) -> Tensor:
        return normal(6, 9, self.n_dims)

    def elements(self, warp, seed: int) -> Tensor:
        return normal(6, warp.size, seed=seed, scale=0.4)

    def test_inverse_of_a_composition(self, warp, u):
        g, h = self.elements(warp, 1), self.elements(warp, 2)
        one_by_one = warp.inverse(warp.inverse(u, g), h)
        torch.testing.assert_close(warp.inverse(u, self.compose(g, h)), one_by_one, **TIGHT)

    def test_identity_leaves_coordinates(self, warp, u):
        torch.testing.assert_close(warp.inverse(u, self.identity().expand(6, -1)), u, **TIGHT)

    def test_an_element_and_its_inverse_cancel(self, warp, u):
        g = self.elements(warp, 1)
        torch.testing.assert_close(warp.inverse(warp.inverse(u, g), self.inverted(g)), u, **TIGHT)

    def test_an_element_moves_something(self, warp, u):
        assert ((warp.inverse(u, self.elements(warp, 1)) - u).abs() > 1e-6).any()

    def test_every_signal_is_moved_by_its_own_element(self, warp, u):
        g = self.elements(warp, 1)
        alone = torch.cat([warp.inverse(u[i : i + 1], g[i : i + 1]) for i in range(6)])
        torch.testing.assert_close(warp.inverse(u, g), alone, **TIGHT)

    def test_divergence_is_that_of_its_prior(self, warp):
        mean, sd = self.elements(warp, 1), 0.05 + self.elements(warp, 2).abs()
        draws = mean + sd * normal(100_000, *mean.shape, seed=3)
        q = torch.distributions.Normal(mean, sd)
        estimate = (q.log_prob(draws) - warp.prior().log_prob(draws)).sum(-1).mean(0)
        torch.testing.assert_close(warp.divergence(mean, sd), estimate, rtol=0.02, atol=0.02)

    def test_divergence_of_the_prior_from_itself_is_none(self, warp):
        p = warp.prior()
        assert abs(float(warp.divergence(p.mean[None], p.stddev[None]))) < 1e-12


class DecoderLaws(ABC):
    """A field is a function of coordinates, one a shape, however it is read."""

    subject: type
    n_latent = 3

    @abstractmethod
    def make(self):
        """An instance to be tested."""

    @pytest.fixture
    def decoder(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.make().double()

    @pytest.fixture
    def z(self) -> Tensor:
        return normal(5, self.n_latent, seed=1)

    def test_a_moved_field_is_the_field_at_moved_coordinates(self, decoder, z):
        grid, t = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None], 0.3 * normal(5, 1, seed=2)
        moved = decoder(z)(pull_back([Shift(1.0).double()], grid, t))
        for i in range(5):
            own = decoder(z[i : i + 1])((grid - t[i])[None])[0]
            torch.testing.assert_close(moved[i], own, **TIGHT)

    def test_a_move_by_whole_samples_moves_the_samples(self, decoder, z):
        step = 2 / 39
        grid = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
        at = [
            pull_back([Shift(1.0).double()], grid, k * step * torch.ones(5, 1, dtype=grid.dtype))
            for k in (0, 6)
        ]
        rest, moved = (decoder(z)(u) for u in at)
        torch.testing.assert_close(moved[:, 6:], rest[:, :-6], rtol=1e-6, atol=1e-6)

    def test_coordinates_are_read_independently(self, decoder, z):
        u = 0.9 * torch.tanh(normal(5, 7, 1, seed=2))
        apart = torch.cat([decoder(z)(u[:, i : i + 1]) for i in range(7)], 1)
        torch.testing.assert_close(decoder(z)(u), apart, **TIGHT)

    def test_the_shape_depends_on_every_latent(self, decoder, z):
        u = torch.linspace(-1, 1, 40, dtype=torch.float64)[None, :, None].expand(5, -1, -1)
        for k in range(self.n_latent):
            other = z.clone()
            other[:, k] += 0.5
            assert ((decoder(other)(u) - decoder(z)(u)).abs().amax(1) > 1e-6).all()

    def test_fields_are_smooth_enough_for_newton_steps(self, decoder, z):
        u, h = 0.6 * torch.tanh(normal(5, 7, 1, seed=2)), 1e-6
        _, slope = jvp(decoder(z), u, torch.ones_like(u))
        numeric = (decoder(z)(u + h) - decoder(z)(u - h)) / (2 * h)
        torch.testing.assert_close(slope, numeric, rtol=1e-4, atol=1e-4)


class LikelihoodLaws(ABC):
    """A distribution round field values, with its support, score and information."""

    subject: type
    outside: tuple[float, ...] = ()

    def make(self):
        return self.subject()

    @abstractmethod
    def reference(self, likelihood, values: Tensor, noise: Tensor) -> torch.distributions.Distribution:
        """The distribution, written down a second time."""

    @pytest.fixture
    def likelihood(self):
        return self.make().double()

    @pytest.fixture
    def values(self) -> Tensor:
        return torch.tensor([[-2.1, -0.7, 0.4, 1.6], [-1.3, 0.2, 0.9, 2.4]], dtype=torch.float64)

    @pytest.fixture
    def noise(self) -> Tensor:
        return torch.tensor([[0.3, 1.0], [0.1, 2.0]], dtype=torch.float64)

    def draws(self, likelihood, values, noise, n: int) -> Tensor:
        """Draws (n, B, P) with a private random state."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.reference(likelihood, values, noise).sample((n,))

    def test_log_prob_is_the_distributions(self, likelihood, values, noise):
        x = self.draws(likelihood, values, noise, 1)[0]
        expected = self.reference(likelihood, values, noise).log_prob(x).sum(1)
        torch.testing.assert_close(likelihood.log_prob(x, values, noise), expected, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(
            likelihood(values, noise).log_prob(x).sum(1), expected, rtol=1e-6, atol=1e-6
        )

    def test_score_is_the_derivative_of_log_prob(self, likelihood, values, noise):
        x, v = self.draws(likelihood, values, noise, 1)[0], values.clone().requires_grad_(True)
        self.reference(likelihood, v, noise).log_prob(x).sum().backward()
        torch.testing.assert_close(likelihood.score(x, values, noise), v.grad, rtol=1e-5, atol=1e-5)

    def test_fisher_information_is_the_variance_of_the_score(self, likelihood, values, noise):
        n = 40_000
        x = self.draws(likelihood, values, noise, n).flatten(0, 1)
        score = likelihood.score(x, values.repeat(n, 1), noise.repeat(n, 1)).view(n, *values.shape)
        ratio = score.var(0) / likelihood.fisher(values, noise)
        torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=0.05)
        noise_of_mean = (score.var(0) / n).sqrt()
        assert (score.mean(0).abs() < 5 * noise_of_mean).all()

    def test_mean_is_that_of_the_draws(self, likelihood, values, noise):
        x = self.draws(likelihood, values, noise, 40_000)
        error = (x.mean(0) - likelihood.mean(values)).abs()
        assert (error < 5 * x.std(0) / 200).all()

    def test_values_at_inverts_mean(self, likelihood, values):
        torch.testing.assert_close(
            likelihood.values_at(likelihood.mean(values)), values, rtol=1e-4, atol=1e-4
        )

    def test_own_draws_are_inside_the_support(self, likelihood, values, noise):
        assert likelihood.inside(self.draws(likelihood, values, noise, 1000)).all()

    def test_support_is_that_of_the_distribution(self, likelihood, values, noise):
        x = torch.tensor([-1.0, -0.5, 0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 7.0], dtype=torch.float64)
        support = self.reference(likelihood, values, noise).support
        assert torch.equal(likelihood.inside(x), support.check(x))
        refused = torch.tensor([*self.outside, float("nan"), float("inf")], dtype=torch.float64)
        assert not likelihood.inside(refused).any()

    def test_rough_sd_is_near_the_real_one(self, likelihood, values, noise):
        flat = values.mean(1, keepdim=True).expand(-1, 400)
        x = self.draws(likelihood, flat, noise, 1)[0]
        sd = self.reference(likelihood, flat, noise).stddev[:, 0]
        ratio = likelihood.rough_sd(x, noise) / sd
        assert ((ratio > 0.6) & (ratio < 1.4)).all()


def check_gaussian_divergence(mean: Tensor, sd: Tensor, prior_sd: Tensor) -> None:
    """The closed form against the mean log ratio over draws."""
    draws = mean + sd * normal(200_000, len(mean), seed=1)
    q, p = torch.distributions.Normal(mean, sd), torch.distributions.Normal(torch.zeros_like(mean), prior_sd)
    estimate = (q.log_prob(draws) - p.log_prob(draws)).mean(0)
    torch.testing.assert_close(gaussian_divergence(mean, sd, prior_sd), estimate, rtol=0.01, atol=0.01)
