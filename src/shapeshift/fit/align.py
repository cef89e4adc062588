"""Global alignment: whole-sample lags by correlation, the start that cannot get lost.

Every signal is explained as ``x_p = a T_{p - l} + b_p`` with its own gain a >= 0, lag l and baseline b, a
constant unless told; for all lags at once the best a and b are closed-form and the sums over samples are
correlations, done by FFT. The template T, on a grid wider than the window, is the least-squares mean of the
aligned signals; the two are refined in turns (Woody 1967, Med. Biol. Eng. 5, 539).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy.fft import next_fast_len
from torch import Tensor

RIDGE = 0.02  # share of the template's energy below which a lag cannot claim a large gain


class Alignment(NamedTuple):
    """Lags (n,) in samples, the template on its wider grid (P + 2 reach,), and how well they explain.

    turned: signals turn from their mean shape into its opposite, so that no single shape leads the set.
    """

    lag: Tensor
    template: Tensor
    reach: int
    unexplained: float
    turned: bool = False


def correlate(x: Tensor, templates: Tensor) -> Tensor:
    """sum_p x_p T_{p + j} for every j: x (n, P), templates (k, C) -> (n, k, C - P + 1)."""
    size = next_fast_len(templates.shape[1], real=True)
    spectrum = torch.fft.rfft(x, size).conj()[:, None] * torch.fft.rfft(templates, size)
    return torch.fft.irfft(spectrum, size)[..., : templates.shape[1] - x.shape[1] + 1]


def window_sums(template: Tensor, length: int) -> Tensor:
    """Sum of the template under every position of a window of ``length`` samples."""
    total = torch.nn.functional.pad(template.double().cumsum(-1), (1, 0))
    return (total[..., length:] - total[..., :-length]).to(template.dtype)


def constant(length: int) -> Tensor:
    """The baseline that is a constant, as a row of unit length: (1, P)."""
    return torch.full((1, length), length**-0.5)


def without(x: Tensor, basis: Tensor) -> Tensor:
    """What of x (..., P) no baseline in the span of the orthonormal rows ``basis`` (m, P) explains."""
    return x - (x @ basis.T) @ basis


def explained(x: Tensor, template: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of squares explained at every lag, and the gain there: (n, 2 reach + 1) each.

    Column j is lag ``reach - j``; columns are returned flipped, so that lags increase.
    """
    overlap = correlate(basis, template[None])[:, 0]
    variance = window_sums(template.square(), x.shape[1]) - overlap.square().sum(0)
    variance = variance.clamp_min(0) + RIDGE * variance.max().clamp_min(
        1e-30
    )  # a flat template explains nothing
    covariance = correlate(without(x, basis), template[None])[:, 0].clamp_min(0)
    return (covariance.square() / variance).flip(1), (covariance / variance).flip(1)


def windows(template: Tensor, length: int, reach: int, lag: Tensor) -> Tensor:
    """What of a template (..., P + 2 reach) is seen at lags (n,): (..., n, P)."""
    return template[..., torch.arange(length)[None] - lag[:, None] + reach]


def fit_template(x: Tensor, lag: Tensor, gain: Tensor, weight: Tensor, reach: int) -> Tensor:
    """Least-squares template (P + 2 reach,) at known lags and gains, of signals without their baselines;
    held constant where nothing was seen."""
    n, length = x.shape
    at = torch.arange(length)[None] - lag[:, None] + reach
    top = torch.zeros(length + 2 * reach)
    bottom = torch.zeros_like(top)
    top.index_add_(0, at.flatten(), (weight * gain)[:, None].mul(x).flatten())
    bottom.index_add_(0, at.flatten(), (weight * gain.square())[:, None].expand(n, length).flatten())
    seen = bottom >= 1e-3 * bottom.max()
    where = torch.nonzero(seen)[:, 0]
    nearest = torch.arange(len(top)).clamp(int(where[0]), int(where[-1]))
    return (top / bottom.clamp_min(1e-12))[nearest]


def fitting_weight(noise: Tensor) -> Tensor:
    """Weight (n,) of a signal's squares: one over its noise variance and a share of the set's contrast."""
    return 1 / (noise[:, 0].square() + 0.05 * noise[:, 1].square().mean().clamp_min(1e-12))


def _iterate(
    x: Tensor, weight: Tensor, template: Tensor, reach: int, rounds: int, basis: Tensor
) -> Alignment:
    """Lags and template in turns."""
    length = x.shape[1]
    lags = torch.arange(-reach, reach + 1)
    penalty = 0.5 * (lags / (0.6 * length)).square()
    total = without(x, basis).square().sum(1)
    for turn in range(rounds):
        gained, gains = explained(x, template, basis)
        best = (gained * weight[:, None] - penalty).argmax(1, keepdim=True)
        gain, lag = gains.gather(1, best)[:, 0], lags[best[:, 0]]
        left = ((total - gained.gather(1, best)[:, 0]) * weight).sum() / (total * weight).sum()
        if turn == rounds - 1:
            break
        pattern = gain[:, None] * windows(template, length, reach, lag)
        baseline = ((x - pattern) @ basis.T) @ basis
        template = fit_template(x - baseline, lag, gain, weight, reach)
        scale = (template - template.mean()).square().mean().sqrt().clamp_min(1e-12)
        template = (template - template.mean()) / scale
        centre = int(lag.double().mean().round())  # the frame follows the signals, not the first guess
        template = torch.roll(template, centre)
    return Alignment(lag, template, reach, float(left))


def align(
    x: Tensor,
    noise: Tensor,
    generator: torch.Generator,
    *,
    starts: int = 4,
    basis: Tensor | None = None,
) -> Alignment:
    """Lags of all signals, from several first templates; the best-explained start is kept.

    Parameters
    ----------
    x : Tensor (n, P)
    noise : Tensor (n, 2)
        Noise sd and contrast of every signal: those with more noise weigh less.
    generator : torch.Generator
        Picks the signals that serve as first templates (besides the mean of all).
    basis : Tensor (m, P), optional
        Orthonormal rows whose span is the baseline of a signal; a constant by default.
    """
    basis = constant(x.shape[1]) if basis is None else basis
    n, length = x.shape
    reach = length - max(2, length // 8)
    weight = fitting_weight(noise)
    some = torch.randperm(n, generator=generator)[:600]
    flat = without(x, basis)
    energy = flat[some].square().mean(1) * weight[some]
    strong = some[torch.multinomial(energy.clamp_min(1e-9), min(starts, len(some)), generator=generator)]
    firsts = [flat.mean(0), *flat[strong]]
    tries = [_iterate(x[some], weight[some], widen(t, reach), reach, 6, basis) for t in firsts]
    best = min(tries, key=lambda a: a.unexplained)
    return _iterate(x, weight, best.template, reach, 4, basis)


def widen(signal: Tensor, reach: int) -> Tensor:
    """A signal on the wider grid, held constant beyond its ends."""
    index = torch.arange(-reach, len(signal) + reach).clamp(0, len(signal) - 1)
    y = signal[index]
    return (y - y.mean()) / (y - y.mean()).square().mean().sqrt().clamp_min(1e-12)
