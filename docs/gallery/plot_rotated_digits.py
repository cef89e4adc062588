"""
Images that lie every way
=========================

In a plane there is more than one way to lie: patterns may be turned, moved and larger or smaller.
``ImageVAE`` has a latent for each. Here handwritten threes are turned by any angle. The angle is known,
and the model is not told.
"""

# %%
# Turned threes
# -------------
# From scikit-learn's digits: every three twice, enlarged to 16 x 16 pixels, turned, with some noise.

import numpy as np
from scipy.ndimage import rotate, zoom

import shapeshift as ss

digits, labels = ss.datasets.digits()
threes = np.repeat(digits.values[labels["label"] == 3] / 16, 2, axis=0)
rng = np.random.default_rng(0)
angle = rng.uniform(-180, 180, len(threes))


def turned(image, degrees):
    """A digit in a frame of 24 x 24, turned counter-clockwise."""
    return rotate(np.pad(zoom(image, 2, order=1), 4), degrees, reshape=False, order=1)


X = np.stack([turned(image, degrees) for image, degrees in zip(threes, angle, strict=True)])
X += 0.03 * rng.normal(size=X.shape)
figure = ss.plot.images(X, 40)

# %%
# A latent that can only turn the pattern
# ---------------------------------------

m = ss.ImageVAE(n_latent=2, warps=("rotation",), random_state=0).fit(X)
p = m.posterior(X)
figure = ss.plot.views(X, m.align(X), m.reconstruct(X), p)

# %%
# Angles of a full turn are drawn on a circle.

figure = ss.plot.rotations(p)

# %%
# Against the truth
# -----------------
# Which way up is zero is a convention, so the mean difference is taken off, round the circle. The scatter
# that is left is far larger than the error bars: people slant their threes differently, and to the model
# a slanted three is one that was turned.

left = (p.rotation - angle + 180) % 360 - 180
zero = np.degrees(np.angle(np.exp(1j * np.radians(left)).mean()))
left = (left - zero + 180) % 360 - 180
print(f"zero lies at {zero:.1f} degrees; median error {np.median(abs(left)):.1f} degrees")
print(f"median error bar {np.median(p.rotation_sd):.2f} degrees")
print(f"off by more than 30 degrees: {100 * np.mean(abs(left) > 30):.1f} %")

# %%
# So much is the same hand: each three is there twice, turned by two angles. Their difference needs no
# zero and no upright three.

pair = (p.rotation[1::2] - p.rotation[::2] - (angle[1::2] - angle[::2]) + 180) % 360 - 180
print(
    f"the same three turned by two angles: median error of the difference {np.median(abs(pair)):.2f} degrees"
)
figure = ss.plot.predictions(
    (angle[1::2] - angle[::2] + 180) % 360 - 180,
    (p.rotation[1::2] - p.rotation[::2] + 180) % 360 - 180,
    np.hypot(p.rotation_sd[1::2], p.rotation_sd[::2]),
    name="angle between two copies",
    units="degree",
)

# %%
# Handwriting
# -----------
# With the angle out of the way, the two shape latents hold what people do differently: open or closed,
# narrow or wide.

figure = ss.plot.manifold(m, 7, p=p)

# %%

figure = ss.plot.latent(p, "rotation")

# sphinx_gallery_thumbnail_number = 1
