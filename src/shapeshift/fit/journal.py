"""A fit that is killed goes on where it was: the state of its training, written down every so many epochs.

A fit is a sequence of stages, one a training. What comes before a training is a function of data, options
and seed, and is computed again; what a training hands from one epoch to the next is the :class:`Course`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, final

import numpy as np
import torch
from torch import Tensor

from shapeshift.data.disk import alone, need_room, unwritable
from shapeshift.errors import ShapeshiftError
from shapeshift.fit import checkpoint
from shapeshift.fit.ranks import ranks_here

if TYPE_CHECKING:
    from shapeshift.fit.train import Course, Plan

FORMAT = "shapeshift-training"
EVERY = 10  # epochs
NOT_OPTIONS = ("progress",)  # of an estimator: they change nothing of what is fitted


@dataclass(frozen=True)
class Checkpoint:
    """Where the state of a fit is written down, and how often.

    Where the folder holds the state of a fit that was cut short, with the same data and options, the fit goes
    on from there and ends with the same numbers, to the bit, as one that was never cut short. The folder
    stays: delete it once the model is saved.

    Parameters
    ----------
    path : path
        A folder of its own; it is made.
    every : int
        Epochs between two states.

    Raises
    ------
    ShapeshiftError
        By the fit, before it starts: if the folder holds the state of other data or options, another fit
        is writing there, or nothing can be written there.

    Examples
    --------
    >>> import tempfile
    >>> import shapeshift as ss
    >>> X, _ = ss.synthetic.article(n=60, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     state = ss.Checkpoint(Path(folder) / "state", every=1)
    ...     one = ss.ShiftVAE(epochs=2).fit(X, checkpoint=state)
    ...     again = ss.ShiftVAE(epochs=2).fit(X, checkpoint=state)  # nothing is left to be done
    >>> one.history_ == again.history_
    True
    """

    path: str | os.PathLike[str]
    every: int = EVERY


Part: TypeAlias = "Tensor | np.ndarray | str"
Kept: TypeAlias = "Checkpoint | str | os.PathLike[str] | None"


@contextmanager
def journal_of(asked: Kept, model: str, options: Mapping[str, Any], *data: Part) -> Iterator[Journal | None]:
    """The journal of a fit to data, in a folder that is its own as long as it lasts.

    Parameters
    ----------
    asked : Checkpoint or path, optional
    model : str
        Name of the estimator.
    options : mapping
        Of plain values.
    *data : Tensor, array or str
        All that is fitted to.

    Raises
    ------
    ShapeshiftError
        As of :class:`Checkpoint`.
    """
    if asked is None:
        yield None
        return
    asked = asked if isinstance(asked, Checkpoint) else Checkpoint(asked)
    if not isinstance(asked.every, int) or asked.every < 1:
        raise ShapeshiftError(f"got every={asked.every!r} epochs, needed a whole number above 0.")
    folder = Path(asked.path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    first = ranks_here().rank == 0  # of processes that train together, only the first writes
    with alone(folder / ".lock", folder) if first else nullcontext():
        for half in folder.glob("stage-*.part") if first else ():  # of a process killed while it wrote
            half.unlink()
        own = {name: value for name, value in options.items() if name not in NOT_OPTIONS}
        fit = {"model": model, "options": own, "data": digest(*data)}
        journal = Journal(folder, asked.every, json.loads(json.dumps(fit)))
        journal.check()
        yield journal


def digest(*parts: Part) -> str:
    """What tells numbers and texts from any others.

    Examples
    --------
    >>> digest("a", torch.zeros(2, 3)) == digest("a", torch.zeros(3, 2))
    False
    """
    sum_ = hashlib.sha256()
    for part in parts:
        told = part if isinstance(part, str) else f"{part.dtype} {tuple(part.shape)}"
        sum_.update(told.encode())
        if isinstance(part, Tensor):
            part = part.detach().contiguous().flatten().view(torch.uint8).numpy()
        if isinstance(part, np.ndarray):
            sum_.update(np.ascontiguousarray(part).data)
    return sum_.hexdigest()


@final
class Journal:
    """The stages of one fit, a file each."""

    def __init__(self, folder: Path, every: int, fit: dict[str, Any]) -> None:
        self.folder, self.every, self.fit = folder, every, fit
        self.begun = 0

    def check(self) -> None:
        """Refuse a folder that holds the state of another fit."""
        if not self.file(1).exists():
            return
        _, told = _read(self.file(1))
        other = told.get("fit", {})
        for what in ("model", "data"):
            if other.get(what) != self.fit[what]:
                raise self._foreign(f"another {what}" if what == "model" else "other data")
        ours, theirs = self.fit["options"], other["options"]
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name):
                raise self._foreign(f"{name}={theirs.get(name)!r}, not {ours.get(name)!r}")

    def stage(self, course: Course) -> Stage:
        """The next stage, its training set to where it was."""
        self.begun += 1
        stage = Stage(self.file(self.begun), self.every, self.fit, beginning(course))
        if stage.file.exists():
            tensors, told = _read(stage.file)
            if told.get("beginning") != stage.beginning:
                raise self._foreign(
                    "a fit that began otherwise (an own module, a function, random_state, the number of "
                    "processes, the versions of shapeshift and torch, or the machine)"
                )
            _restore(course, tensors, told, stage.file)
        else:
            size = sum(t.numel() * t.element_size() for t in _tensors(course).values())
            need_room(self.folder, 4 * size + 2**20, "the state of the fit")  # with the moments of Adam
        seen = len(course.records)
        if course.loop.ranks.told(seen) != seen:
            raise ShapeshiftError(
                f"{self.folder}: got a folder that not every process of this fit sees, needed one that all "
                "share: choose a place on a common disk."
            )
        return stage

    def file(self, k: int) -> Path:
        return self.folder / f"stage-{k}.safetensors"

    def _foreign(self, what: str) -> ShapeshiftError:
        return ShapeshiftError(
            f"{self.folder}: got the state of {what}, needed that of the same fit: fit as it was begun, or "
            "delete the folder to begin anew."
        )


class Stage(NamedTuple):
    """One training, its file, and what tells it from any other."""

    file: Path
    every: int
    fit: dict[str, Any]
    beginning: str

    def keep(self, course: Course) -> None:
        """Write the state down where it is due: every so many epochs, and at the end."""
        due = course.stopped or len(course.records) % self.every == 0
        if not due or course.loop.ranks.rank:
            return
        told = {"fit": self.fit, "beginning": self.beginning, **_numbers(course)}
        checkpoint.write(self.file, _tensors(course), told, FORMAT)


def beginning(course: Course) -> str:
    """A digest of all that a training starts with."""
    loop, data = course.loop, course.data
    plan = f"{_planned(loop.plan)} by {loop.ranks.size} processes"
    state = [part for name, t in loop.vae.state_dict().items() for part in (name, t)]
    return digest(plan, *state, *data, *course.memory.values(), loop.generator.get_state())


def _planned(plan: Plan) -> str:
    """A plan in words; of weights that are functions, their values."""
    own = {f.name: getattr(plan, f.name) for f in fields(plan) if f.name not in ("kl_weight", "journal")}
    weights = [plan.weights(epoch / plan.epochs) for epoch in range(plan.epochs)]
    return json.dumps([own, weights])


def _tensors(course: Course) -> dict[str, Tensor]:
    """The tensors of a state, each group under its name."""
    loop, groups = course.loop, {"vae": course.loop.vae.state_dict(), "best": course.best}
    groups |= {"memory": course.memory, "renewed": course.renewed()}
    groups["random"] = {"state": loop.generator.get_state()}
    if loop.average is not None:
        groups["average"] = loop.average.state_dict()
    for k, moments in loop.optimiser.state_dict()["state"].items():
        groups[f"optimiser.{k}"] = moments
    return {f"{group}/{name}": t.clone() for group, own in groups.items() for name, t in own.items()}


def _numbers(course: Course) -> dict[str, Any]:
    """The rest of it."""
    loop = course.loop
    return {
        "groups": loop.optimiser.state_dict()["param_groups"],
        "schedule": loop.schedule.state_dict(),
        "searched": course.searched,
        "records": course.records,
        "best_loss": course.best_loss,
        "best_epoch": course.best_epoch,
        "stopped": course.stopped,
    }


def _restore(course: Course, tensors: dict[str, Tensor], told: dict[str, Any], file: Path) -> None:
    """The inverse of both."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, t in tensors.items():
        group, _, own = name.partition("/")
        groups.setdefault(group, {})[own] = t.clone()  # the file is going to be replaced
    loop = course.loop
    try:
        loop.vae.load_state_dict(groups["vae"])
        moments = {int(g.split(".")[1]): own for g, own in groups.items() if g.startswith("optimiser.")}
        loop.optimiser.load_state_dict({"state": moments, "param_groups": told["groups"]})
        loop.schedule.load_state_dict(told["schedule"])
        loop.generator.set_state(groups["random"]["state"])
        if loop.average is not None:
            loop.average.load_state_dict(groups["average"])
        course.best = groups["best"]
        course.memory.update(groups.get("memory", {}))
        course.data = course.data._replace(**groups.get("renewed", {}))
        for name in ("searched", "records", "best_loss", "best_epoch", "stopped"):
            setattr(course, name, told[name])
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ShapeshiftError(f"{file} is damaged ({error}): delete its folder to begin anew.") from error


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return checkpoint.read(file, FORMAT, "the state of a fit")
