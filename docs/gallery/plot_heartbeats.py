"""
Heartbeats, and one that is not like the others
===============================================

2271 beats of one heart, each in a window whose start was moved by up to 60 samples. A beat is a narrow
spike that moves by many times its own width: the case in which a plain shift-VAE gets lost, because from
far away no gradient tells where the spike is. shapeshift looks for every beat by correlation first.
"""

# %%
# The windows
# -----------

import numpy as np
from matplotlib.figure import Figure

import shapeshift as ss

X, truth = ss.datasets.ecg_mitbih100()
print(dict(X.sizes), X.attrs["licence"], X.attrs["citation"], sep="\n")
figure = ss.plot.signals(X, 36)

# %%
# Found again
# -----------
# As rows, sorted by shift: a slanted spike becomes an upright one, and the smaller waves around it stand
# upright with it.

m = ss.ShiftVAE(n_latent=2, random_state=0).fit(X)
p = m.posterior(X)
aligned = m.align(X)
figure = ss.plot.heatmap(X, aligned, p)

# %%
# The offsets are known, so the shifts can be judged. What scatters is not only error: at which sample of
# a beat its mark was set is a choice too.

known = truth["true_shift_s"].values
left = p.shift - known
left -= np.median(left)
print(f"correlation with the known offsets: {np.corrcoef(known, p.shift)[0, 1]:.4f}")
step = 1000 * (m.axis_[1] - m.axis_[0])
print(f"median error: {1000 * np.median(abs(left)):.2f} ms; one sample is {step:.2f} ms")
figure = ss.plot.against_truth(p, known, known="known offset")

# %%
# Which beats are strange?
# ------------------------
# Of the 2271 beats the cardiologists found 33 atrial and a single ventricular one; the model knows none
# of this. It says of every beat how well it can be explained. The strangest of all come first.

label = truth["beat_label"].values
names = {1: "normal", 5: "ventricular", 8: "atrial"}
strangest = np.argsort(p.log_evidence)
for rank, i in enumerate(strangest[:5], 1):
    evidence = f"log evidence {p.log_evidence[i]:.0f} nat"
    print(f"{rank}. beat {i}: {names[int(label[i])]}, {evidence}, flag: {p.flags[i] or 'none'}")
place = int(np.flatnonzero(label[strangest] == 5)[0]) + 1
print(f"the ventricular beat comes as number {place} of {len(p)}")

# %%
# They are put beside the mean of all, moved back by their own shifts.

with ss.plot.style():
    figure = Figure(figsize=ss.plot.size("double", aspect=0.4))
    ax = figure.add_subplot()
    rows = np.asarray(aligned)
    ax.plot(m.axis_, np.nanmean(rows, 0), color="#222222", lw=1.6, label=f"mean of {len(rows)} beats")
    for i in strangest[:3]:
        ax.plot(m.axis_, rows[i], lw=0.8, label=f"beat {i}, {names[int(label[i])]}")
    ax.set(xlabel="time (s)", ylabel="lead MLII (mV)", title="the three strangest, moved back")
    ax.legend()

# %%
# Shape
# -----
# One mark a beat, dark where the model explains it badly. Marks far from the crowd are beats of another
# shape. Early atrial beats look much like normal ones in one lead; what tells them to a cardiologist is
# when they come, and a window does not know that.

figure = ss.plot.latent(p, p.log_evidence, color_label="log evidence (nat)")

# %%

figure = ss.plot.manifold(m, 8, p=p)

# sphinx_gallery_thumbnail_number = 2
