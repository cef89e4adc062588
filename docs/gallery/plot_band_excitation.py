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

import shapeshift as ss

X = ss.datasets.bepfm_resonance()
print(X.sizes, "|", X.attrs["licence"], "|", X.attrs["citation"])
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
# How sure can one be?
# --------------------
# Neighbours in a grain should have much the same resonance. The difference of a place to the mean of its
# four neighbours is at most that of the material and at least that of the noise.

shift = p.to_dataset()["shift"].values
inner = shift[1:-1, 1:-1]
around = (shift[:-2, 1:-1] + shift[2:, 1:-1] + shift[1:-1, :-2] + shift[1:-1, 2:]) / 4
highest = X.values.argmax(-1).astype(float)
steps = (
    highest[1:-1, 1:-1]
    - (highest[:-2, 1:-1] + highest[2:, 1:-1] + highest[1:-1, :-2] + highest[1:-1, 2:]) / 4
)
print(f"sd of the shifts: {p.shift.std():.2f} bins; median error bar: {np.median(p.shift_sd):.4f} bins")
print(f"median difference to the neighbours: shift {np.median(abs(inner - around)):.3f} bins, "
      f"highest sample {np.median(abs(steps)):.3f} bins")  # fmt: skip
print("flagged:", ", ".join(f"signal {i}: {flag}" for i, flag in enumerate(p.flags) if flag) or "none")

# %%
# What shapes are there?
# ----------------------
# All resonances are now at one place. What is left to differ is the width, that is the quality factor,
# and how lopsided they are.

figure = ss.plot.manifold(m, 8, p=p)

# %%

figure = ss.plot.map(p, "z1")

# sphinx_gallery_thumbnail_number = 3
