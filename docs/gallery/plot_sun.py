"""
The sun's plasma, up and down: a Doppler map
============================================

A line of iron at 192.39 Angstrom, seen by the spectrometer EIS on the satellite Hinode at 120 x 25 places
on the sun. Gas that comes towards us shifts it to the blue, gas that goes away to the red, by a fraction
of one sample; and the instrument tilts it by about as much. The published analysis fits a Gaussian to
every spectrum. Here no line shape is assumed.
"""

# %%
# The signals
# -----------

import numpy as np

import shapeshift as ss

X, reference = ss.datasets.hinode_eis_fe12()
print(dict(X.sizes), X.attrs["licence"], X.attrs["citation"], sep="\n")
figure = ss.plot.signals(X, 36)

# %%
# Shifts of a fraction of a sample
# --------------------------------

m = ss.ShiftVAE(n_latent=2, random_state=0).fit(X)
p = m.posterior(X)
step = m.axis_[1] - m.axis_[0]
print(f"one sample: {step:.4f} Angstrom")
print(f"sd of the shifts: {p.shift.std() / step:.2f} samples")
print(f"median error bar: {np.median(p.shift_sd) / step:.3f} samples")
fitted = reference["fit_center_raw"].values.ravel()
print(f"correlation with the published fit: {np.corrcoef(fitted, p.shift)[0, 1]:.3f}")
figure = ss.plot.against_truth(p, fitted, known="published centre")

# %%
# The instrument's part
# ---------------------
# The raw shift runs along the slit: that is the tilt. The correction for it is published with the data.

figure = ss.plot.map(p)

# %%
# From a wavelength to a velocity
# -------------------------------
# Less the correction and times c over the wavelength, shifts are velocities. Where zero is nobody knows:
# there is no lamp on the sun, so by convention the median is at rest. Red goes away from us, blue comes
# towards us.

corrected = p.shift - reference["wave_corr"].values.ravel()
velocity = 299792.458 * (corrected - np.median(corrected)) / 192.394
figure = ss.plot.map(p, velocity, neutral=0.0, name="velocity, away from us", units="km/s")

# %%
# How sure?
# ---------
# Both methods have read the same photons, so what is left of the difference to the published fit is less
# than the error bars.

sd = 299792.458 * p.shift_sd / 192.394
published = 299792.458 * reference["fit_center_err"].values.ravel() / 192.394
other = reference["fit_center_corrected"].values.ravel()
difference = velocity - 299792.458 * (other - np.median(other)) / 192.394
print(f"sd of the velocities: {velocity.std():.1f} km/s")
print(
    f"median error bar: {np.median(sd):.1f} km/s here, {np.median(published):.1f} km/s in the published fit"
)
print(f"median size of the difference: {np.median(abs(difference)):.1f} km/s")
print("flagged:", {str(k): int(v) for k, v in zip(*np.unique(p.flags, return_counts=True), strict=True) if k})

# %%
# Faint places are less certain, as they should be: errors grow where there are few counts.

figure = ss.plot.map(p, sd, name="error bar of the velocity", units="km/s")

# %%

figure = ss.plot.map(p, "gain", scale_bar=True)

# sphinx_gallery_thumbnail_number = 4
