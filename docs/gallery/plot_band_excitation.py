"""
Resonances on a map: band-excitation microscopy
===============================================

A tip touches a ferroelectric film and shakes it over a band of frequencies. At each of 32 x 32 places the
response is a resonance. Where it lies tells the stiffness of the contact, how high it is the
piezoelectric response. Usually a formula is fitted to every curve. Here the curves themselves say what
they have in common.
"""

# %%
# The signals
# -----------
# The resonance moves by more than its own width, amplitudes span a factor of 20, and some curves hold
# next to nothing.

import numpy as np
from scipy.optimize import curve_fit

import shapeshift as ss

X = ss.datasets.bepfm_resonance()
print(dict(X.sizes), X.attrs["licence"], X.attrs["citation"], sep="\n")
figure = ss.plot.signals(X)

# %%
# The fit
# -------
# No option is needed. That amplitudes vary and that there is an offset was found in the data, so no
# latent is spent on them; what zero means is told with every result.

m = ss.ShiftVAE(n_latent=2, random_state=0).fit(X)
p = m.posterior(X)
print("solved for in every signal:", m.nuisance_)
print(m.zero_)
figure = ss.plot.heatmap(X, m.align(X), p)

# %%
# The map of the shift
# --------------------
# Grains stand out, although the model has never been told which signals are neighbours.

figure = ss.plot.map(p)

# %%
# Its error bar is large where the tip felt little: the map of the gain shows the same places dark.

figure = ss.plot.map(p, "shift_sd")

# %%

figure = ss.plot.map(p, "gain")

# %%
# Against the formula
# -------------------
# The usual way is to fit a resonator's formula to every curve. Both agree to about a hundredth of a bin,
# and the model was not told the formula. The highest sample, the simplest of all measures, is coarser.


def resonator(f, centre, width, height, offset):
    """Amplitude of a damped oscillator near its resonance."""
    return height / np.sqrt(1 + ((f - centre) / width) ** 2) + offset


bins, curves = X["frequency bin"].values.astype(float), X.values.reshape(len(p), -1)
start = [(bins[y.argmax()], 5.0, np.ptp(y), y.min()) for y in curves]
centre = np.array(
    [curve_fit(resonator, bins, y, a, maxfev=9999)[0][0] for y, a in zip(curves, start, strict=True)]
)
for name, found in (("shift", p.shift), ("highest sample", bins[curves.argmax(1)])):
    left = found - centre - np.median(found - centre)
    r = np.corrcoef(found, centre)[0, 1]
    print(f"{name}: r = {r:.4f}, median difference {np.median(abs(left)):.3f} bins")
print(f"sd of the shifts: {p.shift.std():.2f} bins; median error bar: {np.median(p.shift_sd):.3f} bins")
print("flagged:", ", ".join(f"signal {i}: {flag}" for i, flag in enumerate(p.flags) if flag) or "none")
figure = ss.plot.against_truth(p, centre, known="centre of the resonator")

# %%
# What shapes are there?
# ----------------------
# All resonances are now at one place. What is left to differ is the width, that is the quality factor,
# and how lopsided they are.

figure = ss.plot.manifold(m, 8, p=p)

# %%

figure = ss.plot.map(p, "z1")

# sphinx_gallery_thumbnail_number = 3
