"""The one training loop."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, final

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from shapeshift.fit.ranks import Ranks, ranks_here
from shapeshift.model.objective import Elbo, elbo
from shapeshift.model.vae import PoseVAE

if TYPE_CHECKING:
    import pandas as pd

    from shapeshift.fit.journal import Journal


Weight: TypeAlias = float | Callable[[float], float]


class Signals(NamedTuple):
    """What the loop trains on.

    x (n, P) | noise sd and contrast (n, 2) | place of the search (n, ...), on the line the lag in samples |
    what is given (n, c) | what is to be explained (n, Q), where that is not x itself (else (n, 0)).

    Where a class is not known, every one of Y has a place of its own, (n, Y, ...), and given (n, Y) is its
    log prior, minus infinity for classes left out.
    """

    x: Tensor
    noise: Tensor
    place: Tensor
    given: Tensor
    target: Tensor

    def take(self, rows: Tensor) -> Signals:
        return Signals(*(t[rows] for t in self))

    def batches(self, size: int) -> Iterator[Signals]:
        return (Signals(*batch) for batch in zip(*(t.split(size) for t in self), strict=True))


@dataclass(frozen=True)
class Plan:
    """How to train.

    Parameters
    ----------
    epochs, batch_size : int
    learning_rate : float
        Peak of the one-cycle schedule (Smith 2018, arXiv:1803.09820).
    held_out : float
        Share of the signals that only judges.
    patience : int
        Epochs without a better held-out loss after which training stops.
    jitter : int
        The lag is moved by up to so many samples while training, so that the encoder learns to
        find the rest of the shift.
    release : (float, float)
        Share of the training done when the first and the last shape latent are set free, one after
        the other: shape released too early explains position, and latents released together share
        a factor that one of them could carry.
    searches : tuple of float
        When, as a share of the training, lags are searched again with the learned shapes.
    kl_weight : mapping or callable
        Weight of the KL of every factor ("shift", "rotation", "scale", "z", "class"), each a number or a
        function of the share of training done (0 to 1), or a function of it that returns such a mapping.
    averaging : float
        Share of the training, at its end, over whose steps the weights are averaged (Izmailov et al. 2018,
        arXiv:1803.05407); the average is taken where it explains the held-out signals better.
    split : int, optional
        Seed of what is held out, to compare fits; by default it is drawn with all else.
    weight_decay : float
        Of the networks, decoupled from the gradient (Loshchilov & Hutter 2019, arXiv:1711.05101).
    journal : Journal, optional
        Where the state is written down, so that a fit that is killed can go on.
    """

    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 4e-3
    held_out: float = 0.1
    patience: int = 40
    jitter: int = 2
    release: tuple[float, float] = (0.05, 0.35)
    searches: tuple[float, ...] = (0.25, 0.5)
    kl_weight: Mapping[str, Weight] | Callable[[float], dict[str, float]] = field(default_factory=dict)
    averaging: float = 0.0
    split: int | None = None
    weight_decay: float = 0.0
    journal: Journal | None = None

    def n_free(self, done: float, n_latent: int) -> int:
        """How many shape latents are free after this share of the training."""
        first, last = self.release
        times = [first + (last - first) * k / max(1, n_latent - 1) for k in range(n_latent)]
        return sum(done >= t for t in times)

    def weights(self, done: float) -> dict[str, float]:
        if callable(self.kl_weight):
            return self.kl_weight(done)
        return {k: w(done) if callable(w) else w for k, w in self.kl_weight.items()}


@dataclass(frozen=True)
class History:
    """What happened, one entry an epoch."""

    columns: dict[str, list[float]]
    stopped: str  # "finished" | "patience" | "interrupted" | "not finite"

    def to_frame(self) -> pd.DataFrame:
        """The history as a table, one row an epoch."""
        import pandas as pd

        return pd.DataFrame(self.columns)


Search: TypeAlias = Callable[[PoseVAE, Signals], "Tensor | Signals"]
Bound: TypeAlias = Callable[[PoseVAE, Signals, torch.Generator], Elbo]


def plain_bound(vae: PoseVAE, batch: Signals, generator: torch.Generator) -> Elbo:
    """The bound where all that is given is known."""
    x, noise, place, given, target = batch
    return elbo(vae, x, place, noise, generator, given, target if target.shape[1] else None)


def train(
    vae: PoseVAE,
    data: Signals,
    plan: Plan,
    generator: torch.Generator,
    *,
    search: Search | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    bound: Bound = plain_bound,
    memory: dict[str, Tensor] | None = None,
) -> History:
    """Maximise the ELBO in place; the weights with the best held-out loss are kept.

    ``search`` gives new places, or the signals with all that is renewed of them; what it has to remember from
    one time to the next is in ``memory``.
    """
    own = generator if plan.split is None else torch.Generator().manual_seed(plan.split)
    held, used = _split(len(data.x), plan.held_out, own)
    loop = _loop(vae, plan, generator, len(used), bound)
    course = Course(loop, data, {} if memory is None else memory, copy.deepcopy(vae.state_dict()))
    stage = plan.journal.stage(course) if plan.journal else None
    try:
        while not course.stopped:
            course.advance(held, used, search)
            if on_epoch:
                on_epoch(len(course.records) - 1, course.records[-1])
            if stage:
                stage.keep(course)
    except KeyboardInterrupt:
        course.stopped = "interrupted"
    return course.concluded(held)


def _renewed(data: Signals, found: Tensor | Signals) -> Signals:
    """The signals with what a search has found."""
    return found if isinstance(found, Signals) else data._replace(place=found)


def _split(n: int, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows that judge and rows that train; the same where there are too few to spare any."""
    rows = torch.randperm(n, generator=generator)
    n_held = round(share * n) if n >= 20 else 0
    return (rows[:n_held], rows[n_held:]) if n_held else (rows, rows)


def _optimiser(vae: PoseVAE, plan: Plan) -> torch.optim.Optimizer:
    """Adam; scalars of the likelihood learn faster, for they have far to go in few steps."""
    scalars = list(vae.likelihood.parameters())
    own = {id(p) for p in scalars}
    networks = [p for p in vae.parameters() if id(p) not in own]
    rate, decay = plan.learning_rate, plan.weight_decay
    groups: list[dict[str, Any]] = [{"params": networks, "lr": rate, "weight_decay": decay}]
    if scalars:
        groups.append({"params": scalars, "lr": 10 * rate, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, fused=True)


class _Loop(NamedTuple):
    vae: PoseVAE
    plan: Plan
    generator: torch.Generator
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    average: AveragedModel | None
    bound: Bound
    ranks: Ranks

    def epoch(self, data: Signals, done: float) -> dict[str, float]:
        """One pass over the data in random order; mean loss and KL a signal."""
        order = torch.randperm(len(data.x), generator=self.generator)
        data = data.take(order)
        if self.vae.n_pose:
            jittered = self.vae.frame.jittered(data.place, self.plan.jitter, self.vae.sample, self.generator)
            data = data._replace(place=jittered)
        sums: dict[str, float] = {}
        draws = self.ranks.draws(self.generator)
        for batch in data.batches(self.plan.batch_size):
            own, weight = self.ranks.rows(len(batch.x))
            terms = self.bound(self.vae, Signals(*(t[own] for t in batch)), draws)
            loss = -weight * terms.total(self.plan.weights(done)).mean()
            told = {"loss": loss.detach().clone()}
            told |= {"kl_" + name: weight * kl.detach().mean() for name, kl in terms.kl.items()}
            self.ranks.add_up(told.values())
            if not torch.isfinite(told["loss"]):  # a step from here would spoil the weights
                return dict.fromkeys(told, math.nan)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.ranks.add_up(p.grad for p in self.vae.parameters() if p.grad is not None)
            self.optimiser.step()
            self.schedule.step()
            if self.average is not None and done >= 1 - self.plan.averaging:
                self.average.update_parameters(self.vae)
            share = len(batch.x) / len(order)
            for name, part in told.items():
                sums[name] = sums.get(name, 0.0) + share * float(part)
        return sums

    def take_average(self, held: Signals) -> None:
        """Take the averaged weights where they explain held-out signals better."""
        if self.average is None or not int(self.average.n_averaged):
            return
        last, loss = copy.deepcopy(self.vae.state_dict()), self.judge(held, 1.0)
        self.vae.load_state_dict(self.average.module.state_dict())
        if not self.judge(held, 1.0) < loss:
            self.vae.load_state_dict(last)

    @torch.no_grad()
    def judge(self, data: Signals, done: float) -> float:
        """Held-out loss; a generator of its own, so that every epoch meets the same draws."""
        own, weights = torch.Generator().manual_seed(0), self.plan.weights(done)
        batches = data.batches(self.plan.batch_size)
        return -sum(float(self.bound(self.vae, batch, own).total(weights).sum()) for batch in batches) / len(
            data.x
        )


@final
@dataclass
class Course:
    """Where a training stands: all that one epoch hands to the next."""

    loop: _Loop
    data: Signals
    memory: dict[str, Tensor]  # of the search
    best: dict[str, Tensor]
    best_loss: float = math.inf
    best_epoch: int = 0
    searched: int = 0
    records: list[dict[str, float]] = field(default_factory=list)
    stopped: str = ""

    def __post_init__(self) -> None:
        self.first = self.data

    def renewed(self) -> dict[str, Tensor]:
        """What the searches have changed of the signals, by its name."""
        now, first = self.data._asdict(), self.first._asdict()
        return {name: t for name, t in now.items() if t is not first[name]}

    def advance(self, held: Tensor, used: Tensor, search: Search | None) -> None:
        """One epoch, with the search that is due before it."""
        plan, vae, epoch = self.loop.plan, self.loop.vae, len(self.records)
        done = epoch / plan.epochs
        vae.n_free = plan.n_free(done, vae.n_latent)
        due = sorted(plan.searches)[self.searched :]
        if search and due and done >= due[0]:
            self.searched += 1
            self.data = _renewed(self.data, search(vae, self.data))
        record = {"epoch": epoch, **self.loop.epoch(self.data.take(used), done)}
        record["val_loss"] = self.loop.ranks.told(self.loop.judge(self.data.take(held), done))
        self.records.append(record)
        self._judge(record, done)

    def _judge(self, record: dict[str, float], done: float) -> None:
        """Keep the weights if they are the best, stop if there is no more to be had."""
        plan, epoch, loss = self.loop.plan, len(self.records) - 1, record["val_loss"]
        judged = done >= plan.release[1]
        if not math.isfinite(record["loss"] + loss):
            self.stopped = "not finite"
        elif judged and loss < self.best_loss:
            self.best = copy.deepcopy(self.loop.vae.state_dict())
            self.best_loss, self.best_epoch = loss, epoch
        elif judged and epoch - self.best_epoch > plan.patience:
            self.stopped = "patience"
        if not self.stopped and epoch + 1 == plan.epochs:
            self.stopped = "finished"

    def concluded(self, held: Tensor) -> History:
        """The model with the weights to be kept, and what happened."""
        vae, records = self.loop.vae, self.records
        if math.isfinite(self.best_loss) or self.stopped == "not finite":  # else cut short before a judgement
            vae.load_state_dict(self.best)
        vae.n_free = vae.n_latent
        if self.stopped != "not finite":
            self.loop.take_average(self.data.take(held))
        return History({k: [r[k] for r in records] for k in records[0]} if records else {}, self.stopped)


def _loop(vae: PoseVAE, plan: Plan, generator: torch.Generator, n: int, bound: Bound) -> _Loop:
    """The loop over n signals, before its first step."""
    ranks = ranks_here()
    ranks.begin(vae)
    optimiser = _optimiser(vae, plan)
    steps = math.ceil(n / plan.batch_size) * plan.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        [g["lr"] for g in optimiser.param_groups],
        total_steps=max(steps, 6),  # of fewer its rise would have no step
        pct_start=0.2,
        final_div_factor=1e3,
    )
    average = AveragedModel(vae) if plan.averaging else None
    return _Loop(vae, plan, generator, optimiser, schedule, average, bound, ranks)
