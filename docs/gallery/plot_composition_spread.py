"""
A line that slides and phases that change: X-ray diffraction
============================================================

On one wafer the composition of iron, gallium and palladium varies from place to place, and with it the
diffraction pattern: the main line slides because the lattice swells, and in other regions other phases
appear, with other lines. One moving shape is the right model for the first and the wrong one for the
second. What does a model say that knows neither?
"""

# %%
# 278 patterns
# ------------

from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

import shapeshift as ss

X, reference = ss.datasets.fegapd_xrd()
print(dict(X.sizes), X.attrs["licence"], X.attrs["citation"], sep="\n")
figure = ss.plot.signals(X, 36)

# %%
# The whole axis
# --------------
# First everything as it is. The model says itself what is to be doubted.

m = ss.ShiftVAE(n_latent=2, random_state=0).fit(X)
p = m.posterior(X)
for doubt in ss.analysis.doubts(m, X, p):
    print(fill(doubt.sentence, 88, initial_indent="* ", subsequent_indent="  "))
figure = ss.plot.heatmap(X, m.align(X), p)

# %%
# The flag ``phase`` says: looks different from most and lies elsewhere, likely another pattern. Over the
# composition the flagged places are regions. The authors of the data computed from first principles which
# phases should exist where; the model was not told. One of those regions, the one rich in iron, is nearly
# free of flags.

iron, gallium, palladium = 100 * reference["composition_FeGaPd"].values.T
region = reference["dft_region"].values
free = ~p.flagged("phase")
for number in np.unique(region):
    inside = region == number
    share = 100 * free[inside].mean()
    print(f"computed region {number:.0f}: {inside.sum():3d} patterns, {share:.0f} % without the flag")

with ss.plot.style():
    figure = Figure(figsize=ss.plot.size("double", aspect=0.45))
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    for number in np.unique(region):
        inside = region == number
        left.plot(gallium[inside], palladium[inside], "o", ms=3, label=f"{number:.0f}")
    for inside, text, marker in ((free, "not flagged", "o"), (~free, "phase", "x")):
        right.plot(gallium[inside], palladium[inside], marker, ms=3, label=text)
    left.set(xlabel="gallium (at. %)", ylabel="palladium (at. %)", title="regions of phases, as computed")
    right.set(xlabel="gallium (at. %)", title="flagged, as measured")
    for ax in (left, right):
        ax.legend()

# %%
# The main line alone
# -------------------
# So the question is cut to what one moving shape can answer: the patterns without a flag, and the axis
# around the main line. On an axis that holds one line, zero can be the highest point of it.

line = X[free].sel({"2theta": slice(43.5, 46.5)})
m = ss.ShiftVAE(n_latent=2, zero="peak", random_state=0).fit(line)
p = m.posterior(line)
print(m.zero_)
print("flagged:", int((p.flags != "").sum()), "of", len(p))
figure = ss.plot.alignment(line, m.align(line), p)

# %%
# Vegard's law
# ------------
# Atoms of another size stretch the lattice in proportion to their share, so in a first approximation the
# shift is linear in the composition. How far does that hold? What is left is far larger than the error
# bars, and in the figure it bends: the law ends here, not the measurement.

shares = np.column_stack([np.ones(len(p)), gallium[free], palladium[free]])
good = p.flags == ""
slopes = np.linalg.lstsq(shares[good], p.shift[good], rcond=None)[0]
told = shares @ slopes
print(f"per at. % of gallium {slopes[1]:+.4f} degrees, of palladium {slopes[2]:+.4f} degrees")
r2 = 1 - np.var(p.shift[good] - told[good]) / np.var(p.shift[good])
print(f"a plane over the composition tells {100 * r2:.0f} % of the variance")
rms, bars = np.sqrt(np.mean((p.shift - told)[good] ** 2)), np.median(p.shift_sd[good])
print(f"rms residual {rms:.3f} degrees, median error bar of a shift {bars:.4f} degrees")
figure = ss.plot.predictions(p.shift[good], told[good], name="shift", units="deg")

# %%

with ss.plot.style():
    figure = Figure(figsize=ss.plot.size("single", aspect=0.8))
    ax = figure.add_subplot()
    marks = ax.scatter(gallium[free][good], palladium[free][good], 9, p.shift[good])
    ax.set(xlabel="gallium (at. %)", ylabel="palladium (at. %)", title="shift of the main line")
    figure.colorbar(marks, label="shift (deg)")

# sphinx_gallery_thumbnail_number = 3
