"""
The article's experiment
========================

M. Ziatdinov and S. Kalinin made peaks of unknown position and width and asked what finds the width again:
principal components, an ordinary variational autoencoder, or one that has a latent of its own for the
position (`arXiv:2104.10207 <https://arxiv.org/abs/2104.10207>`_). Here are their steps, with the numbers.
"""

# %%
# The signals
# -----------
# Every peak has a position, a width (mu and s in the article) and a noise of its own. No model will see
# the truth.

import numpy as np

import shapeshift as ss

X, truth = ss.synthetic.article(n=2000, seed=1)
figure = ss.plot.signals(X)

# %%
# Linear decompositions
# ---------------------
# A peak that moves is no sum of a few fixed curves. The components look like derivatives of a peak, there
# are many of them, and none is the peak. With non-negative curves each is a peak at a place of its own.

pca, nmf = ss.analysis.pca(X, 20), ss.analysis.nmf(X, 8)
figure = ss.plot.components(pca)

# %%

figure = ss.plot.components(nmf)

# %%
# An ordinary variational autoencoder
# -----------------------------------
# With ``warps=()`` nothing may move, so position and width have to share the two latents: the colours of
# the position are in order, and along every line of the manifold peaks move and change at once, or fade
# from one place into another.

known = {"position mu (units of x)": truth["shift"], "width s (units of x)": truth["width"]}
plain = ss.ShiftVAE(n_latent=2, warps=(), random_state=0).fit(X)
p_plain = plain.posterior(X)
figure = ss.plot.latent(p_plain, truth["shift"], color_label="position mu (units of x)")

# %%

figure = ss.plot.manifold(plain, 10)

# %%
# One latent that can only move the pattern
# -----------------------------------------
# Now the position has its own latent. In the manifold all peaks stand at one place and differ in width
# alone. Pale curves stand for no signal. Of the two shape latents one is enough, since one factor of
# shape was put in.

m = ss.ShiftVAE(n_latent=2, random_state=0).fit(X)
p = m.posterior(X)
figure = ss.plot.manifold(m, 10, p=p)

# %%
# Coloured by position the latents are a mixture, coloured by width they are in order.

figure = ss.plot.latent(p, truth["shift"], color_label="position mu (units of x)")

# %%

figure = ss.plot.latent(p, truth["width"], color_label="width s (units of x)")

# %%
# Against the truth: a latent that knows a factor draws a line, another a cloud.

figure = ss.plot.latents_against(p, known)

# %%
# How good are the shifts?
# ------------------------
# Each shift has an error bar. Without any truth the model can be tested on signals of its own making,
# moved by a known amount; this is what the reports do.

figure = ss.plot.calibration(ss.analysis.calibrate(m, X))

# %%

figure = ss.plot.against_truth(p, truth["shift"], known="known position mu")


# %%
# Here more can be asked, since the truth is known: how much of each factor the two latents tell, and how
# far off the shifts are in pairs of signals that the model has not seen. No estimator that knows the
# shape can be better than 1.


def told_by(p, factor):
    """R² of a factor from the latents, by a polynomial of degree 3."""
    a, b = p.z.T
    terms = np.column_stack([a**i * b**j for i in range(4) for j in range(4 - i)])
    left = factor - terms @ np.linalg.lstsq(terms, factor, rcond=None)[0]
    return 1 - left.var() / factor.var()


for name, found in (("ordinary VAE", p_plain), ("shift-VAE", p)):
    r2 = [told_by(found, truth[factor].values) for factor in ("shift", "width")]
    print(f"{name}: R² of mu {r2[0]:.2f}, of s {r2[1]:.2f}")

pairs = ss.synthetic.article_pairs(1000, 7, like=X)
first, second = m.posterior(pairs.first), m.posterior(pairs.second)
error = second.shift - first.shift - pairs.moved
sd = np.hypot(first.shift_sd, second.shift_sd)
least = np.sqrt(np.mean(pairs.bound**2))
print(f"rms error of a move: {np.sqrt(np.mean(error**2)) / least:.2f} times the least possible")
print(f"truth within 1 sd: {100 * np.mean(abs(error) < sd):.0f} % (honest: 68 %)")
print(f"shape latents in use: {ss.analysis.active_latents(p).n_active} of 2")

# sphinx_gallery_thumbnail_number = 6
