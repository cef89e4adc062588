"""
From an image to a spectrum
===========================

Can the surroundings of a place tell the spectrum that would be measured there? ``VED`` learns to tell one
measurement from another, and says how far it can be trusted. Here it tells the resonance at the middle of
a patch of a map from the amplitudes around it; if it could be trusted, fewer spectra would have to be
measured.
"""

# %%
# Pairs of a patch and a spectrum
# -------------------------------
# From the band-excitation map: the image is the largest amplitude at each of 9 x 9 places, the spectrum
# the whole resonance at its middle.

import numpy as np
import xarray as xr

import shapeshift as ss

X = ss.datasets.bepfm_resonance()
print(dict(X.sizes), X.attrs["licence"], X.attrs["citation"], sep="\n")
amplitude, half = X.values.max(-1), 4
rows, columns = (a.ravel() for a in np.mgrid[half : 32 - half, half : 32 - half])
patches = np.stack(
    [amplitude[i - half : i + half + 1, j - half : j + half + 1] for i, j in zip(rows, columns, strict=True)]
)
spectra = X.isel(y=xr.DataArray(rows, dims="pair"), x=xr.DataArray(columns, dims="pair"))
figure = ss.plot.images(patches, 40)

# %%
# Two ways to hold pairs back
# ---------------------------
# Some pairs at random: their patches overlap those the model has learned from. Or a strip of the map,
# none of whose patches touches a patch that was learned from.

at_random = np.random.default_rng(0).permutation(len(rows)) < 120
strip = columns >= 32 - half - 5
near = ~strip & (columns > 32 - half - 5 - 2 * half - 1)  # these overlap the strip: not learned from

by_chance = ss.VED(n_latent=8, random_state=0).fit(patches[~at_random], spectra[~at_random])
by_place = ss.VED(n_latent=8, random_state=0).fit(patches[~strip & ~near], spectra[~strip & ~near])

# %%
# Spectra that were held out at random, from the best told to the worst:

mean, sd = by_chance.predict(patches[at_random], return_std=True)
figure = ss.plot.predictions(spectra[at_random], mean, sd)

# %%
# And those of the strip:

mean_strip, sd_strip = by_place.predict(patches[strip], return_std=True)
figure = ss.plot.predictions(spectra[strip], mean_strip, sd_strip)

# %%
# What a score hides
# ------------------
# The error bars were set by pairs held out at random, so they are right for such pairs and too narrow for
# a place that is new. It is not a matter of the model: any judge that holds back overlapping patches at
# random is too kind.

for name, model, inside in (("at random", by_chance, at_random), ("a strip", by_place, strip)):
    told, bars = model.predict(patches[inside], return_std=True)
    within = float(np.mean(abs(told - spectra[inside]) <= bars))
    r2 = model.score(patches[inside], spectra[inside])
    print(f"held out {name}: R² {r2:.2f}, {100 * within:.0f} % within 1 sd (honest: 68 %)")

# %%
# The frequency of the resonance, told from amplitudes alone:

figure = ss.plot.predictions(
    spectra[at_random].idxmax("frequency bin"),
    mean.idxmax("frequency bin"),
    name="bin of the highest amplitude",
)

# sphinx_gallery_thumbnail_number = 2
