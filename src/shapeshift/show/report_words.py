"""Words that the reports on signals and on images share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_ENDED = {
    "finished": "all epochs done",
    "patience": "stopped when the held-out loss no longer fell",
    "interrupted": "stopped by hand",
    "not finite": "stopped because the loss was no longer a number",
}


def short(value: float, digits: int = 3) -> str:
    """A number of a few digits, with a minus sign that is one.

    Examples
    --------
    >>> short(-0.12345)
    '−0.123'
    """
    return f"{value:.{digits}g}".replace("-", "−")


def time_row(m: Any) -> tuple[str, str]:
    """How long the fit took, and how it ended."""
    epochs = len(m.history_.to_frame())
    return "time", f"{m.fit_seconds_:.1f} s, {epochs} epochs; {_ENDED.get(m.history_.stopped, 'ended')}"


def name_of(X: Any, otherwise: str = "Shifts and shapes") -> str:
    """The file that data came from."""
    source = str(getattr(X, "attrs", {}).get("source", ""))
    return Path(source).name or otherwise
