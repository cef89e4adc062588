"""The data of imagebench: small images whose angle, place and size are known, and signals with labels.

Angles are in degrees, counter-clockwise as seen with row 0 at the top. Displacements are (row,
column) in pixels, of the middle of the pattern from the middle of the frame. Scales are factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.ndimage import affine_transform, rotate, zoom
from sklearn.datasets import load_digits

import shapeshift as ss
from shapeshift.data.synthetic import sample

SIZE = 28  # pixels along each side
N_TRAIN = 1500  # of 1797
REACH = 60.0  # degrees to either side
POSED_SIZE = 16  # pixels a digit takes in `posed`: scaled by 1.25 and displaced by 4 it stays inside
MOST_MOVED, MOST_SCALED = 4.0, 1.25
N_CLASSES = 10
FAMILY_NAMES = ("article", "doublet", "fano", "resonance", "qrs")


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits of scikit-learn: images (1797, 8, 8) in 0 .. 1 and their labels."""
    found = load_digits()
    return found.images / 16.0, found.target


def enlarged(images: np.ndarray) -> np.ndarray:
    """Images (n, 28, 28): interpolated linearly."""
    factor = SIZE / images.shape[-1]
    return np.stack([zoom(image, factor, order=1) for image in images]).clip(0, 1)


def turned_by(images: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Every image turned counter-clockwise about its middle: interpolated linearly, dark outside."""
    pairs = zip(images, angles, strict=True)
    return np.stack([rotate(image, angle, reshape=False, order=1) for image, angle in pairs]).clip(0, 1)


@dataclass(frozen=True)
class Pose:
    """How n patterns lie in their frames: angle (n,), shift (n, 2) and scale (n,)."""

    angle: np.ndarray
    shift: np.ndarray
    scale: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, n: int) -> Pose:
        """Angles and displacements uniform, scales uniform in their logarithm."""
        angle = rng.uniform(-REACH, REACH, n)
        shift = rng.uniform(-MOST_MOVED, MOST_MOVED, (n, 2))
        return cls(angle, shift, MOST_SCALED ** rng.uniform(-1, 1, n))


def posed_by(images: np.ndarray, pose: Pose, size: int = SIZE) -> np.ndarray:
    """Images (n, size, size) of patterns in a pose, from small ones by one interpolation.

    A place v, measured from the middle of the pattern, comes from ``R v / scale`` in the upright pattern,
    R the turn back.
    """
    pixel = images.shape[-1] / POSED_SIZE
    middle_in, middle_out = (images.shape[-1] - 1) / 2, (size - 1) / 2
    made = []
    for image, angle, shift, scale in zip(
        images, np.radians(pose.angle), pose.shift, pose.scale, strict=True
    ):
        c, s = np.cos(angle), np.sin(angle)
        back = pixel / scale * np.array([[c, s], [-s, c]])
        offset = middle_in - back @ (middle_out + shift)
        made.append(affine_transform(image, back, offset, (size, size), order=1, mode="grid-constant"))
    return np.stack(made).clip(0, 1)


@dataclass(frozen=True, eq=False)
class Turned:
    """Turned digits: 1500 to fit, 297 held out at two angles each.

    ``plain`` and ``held_plain`` are the digits unturned, ``label`` and ``held_label`` what they are.
    """

    train: np.ndarray
    angle: np.ndarray
    plain: np.ndarray
    label: np.ndarray
    first: np.ndarray
    second: np.ndarray
    first_angle: np.ndarray
    second_angle: np.ndarray
    held_plain: np.ndarray
    held_label: np.ndarray

    @property
    def held(self) -> np.ndarray:
        """Both images of every held-out digit, the first ones first."""
        return np.concatenate([self.first, self.second])

    @property
    def labels(self) -> np.ndarray:
        """Labels of `held`."""
        return np.tile(self.held_label, 2)

    @property
    def turn(self) -> np.ndarray:
        """By how much the second image is turned against the first."""
        return self.second_angle - self.first_angle

    @property
    def profiles(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean over the rows of the unturned digits (n, 28): those to fit, and those of `held`."""
        return self.plain.mean(1), np.tile(self.held_plain.mean(1), (2, 1))


@cache
def turned(seed: int, reach: float = REACH) -> Turned:
    """Draw which digits are held out and by how much each is turned; asked again, the same object."""
    images, label = digits()
    big, rng = enlarged(images), np.random.default_rng(seed)
    rows = rng.permutation(len(big))
    fit, held = rows[:N_TRAIN], rows[N_TRAIN:]
    angle, first, second = (rng.uniform(-reach, reach, len(r)) for r in (fit, held, held))
    return Turned(
        train=turned_by(big[fit], angle),
        angle=angle,
        plain=big[fit],
        label=label[fit],
        first=turned_by(big[held], first),
        second=turned_by(big[held], second),
        first_angle=first,
        second_angle=second,
        held_plain=big[held],
        held_label=label[held],
    )


def few_labels(label: np.ndarray, each: int, seed: int) -> np.ndarray:
    """The labels with all but ``each`` of every class replaced by -1."""
    rng, few = np.random.default_rng(seed), np.full_like(label, -1)
    for k in np.unique(label):
        chosen = rng.choice(np.flatnonzero(label == k), each, replace=False)
        few[chosen] = k
    return few


@dataclass(frozen=True)
class Posed:
    """Digits turned, displaced and scaled at once: to fit, and held out in two poses each."""

    train: np.ndarray
    pose: Pose
    first: np.ndarray
    second: np.ndarray
    first_pose: Pose
    second_pose: Pose


def posed(seed: int) -> Posed:
    """Draw which digits are held out and how each lies."""
    images, rng = digits()[0], np.random.default_rng(seed)
    rows = rng.permutation(len(images))
    parts = images[rows[:N_TRAIN]], images[rows[N_TRAIN:]], images[rows[N_TRAIN:]]
    poses = [Pose.draw(rng, len(part)) for part in parts]
    made = [posed_by(part, pose) for part, pose in zip(parts, poses, strict=True)]
    return Posed(made[0], poses[0], made[1], made[2], poses[1], poses[2])


@dataclass(frozen=True)
class Labelled:
    """Signals and a number for each: ``y`` is nan where it is not told, ``truth`` where it is."""

    train: np.ndarray
    y: np.ndarray
    held: np.ndarray
    held_y: np.ndarray


def widths(seed: int, n: int = 2000, told: int = 50, n_held: int = 1000) -> Labelled:
    """The article's signals with their widths, of which ``told`` are known."""
    X, truth = ss.synthetic.article(n + n_held, seed)
    width = truth["width"].values
    y = np.full(n, np.nan)
    chosen = np.random.default_rng(seed).choice(n, told, replace=False)
    y[chosen] = width[:n][chosen]
    return Labelled(X.values[:n], y, X.values[n:], width[n:])


@dataclass(frozen=True, eq=False)
class Classed:
    """Patterns with their classes 0 .. k-1: to fit, and held out."""

    train: np.ndarray
    label: np.ndarray
    held: np.ndarray
    held_label: np.ndarray

    @property
    def one_hot(self) -> np.ndarray:
        """The classes of those to fit, (n, k)."""
        return np.eye(self.label.max() + 1)[self.label]


def families(seed: int, each: int = 400, each_held: int = 100) -> Classed:
    """Signals of five families of line shapes, 128 samples on one axis."""
    total = each + each_held
    made = [sample(name, total, 10 * seed + k, length=128)[0].values for k, name in enumerate(FAMILY_NAMES)]
    classes = np.arange(len(FAMILY_NAMES))
    return Classed(
        np.concatenate([X[:each] for X in made]),
        classes.repeat(each),
        np.concatenate([X[each:] for X in made]),
        classes.repeat(each_held),
    )


def classed_digits(seed: int) -> Classed:
    """Turned digits with their labels."""
    t = turned(seed)
    return Classed(t.train, t.label, t.held, t.labels)
