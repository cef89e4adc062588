"""Processes that train together, as torchrun starts them: each takes its share of every batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn


class Ranks(NamedTuple):
    """This process among those that train together; alone where no process group was begun.

    Examples
    --------
    >>> ranks_here()
    Ranks(rank=0, size=1)
    """

    rank: int = 0
    size: int = 1

    def rows(self, n: int) -> tuple[slice, float]:
        """The rows of a batch of n that are this process's, and what their mean weighs in that of all.

        Of fewer rows than processes, every process takes all.
        """
        if n < self.size:
            return slice(0, n), 1 / self.size
        first, last = (n * k // self.size for k in (self.rank, self.rank + 1))
        return slice(first, last), (last - first) / n

    def draws(self, generator: torch.Generator) -> torch.Generator:
        """What this process draws from; the generator of all is in one state everywhere afterwards."""
        if self.size == 1:
            return generator
        seed = int(torch.randint(2**31, (1,), generator=generator))
        return torch.Generator().manual_seed(seed + self.rank)

    def add_up(self, parts: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.size == 1:
            return
        parts = list(parts)
        flat = torch.cat([part.flatten() for part in parts])
        distributed.all_reduce(flat)
        for part, total in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
            part.copy_(total.view_as(part))

    def take_first(self, values: Iterable[Tensor]) -> None:
        """Replace each tensor by that of the first process."""
        if self.size > 1:
            for value in values:
                distributed.broadcast(value, 0)

    def told(self, value: float) -> float:
        """A number, or a yes or no, as the first process has it."""
        held = torch.tensor(value, dtype=torch.float64)
        self.take_first([held])
        return float(held)

    def begin(self, vae: nn.Module) -> None:
        """Start from the weights of the first process."""
        self.take_first(t for t in vae.state_dict().values() if t.is_floating_point())


def ranks_here() -> Ranks:
    """Where this process stands, if somebody has begun a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return Ranks(distributed.get_rank(), distributed.get_world_size())
    return Ranks()
