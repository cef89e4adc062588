"""A progress bar for those who ask for one."""

from __future__ import annotations

from typing import Any, final


@final
class Progress:
    """A rich progress bar on stderr, or nothing."""

    def __init__(self, shown: bool, epochs: int) -> None:
        self.shown, self.epochs = shown, epochs
        self.bar: Any = None

    def __enter__(self) -> Any:
        if not self.shown:
            return None
        from rich.console import Console
        from rich.progress import Progress as Bar

        self.bar = Bar(console=Console(stderr=True))
        self.bar.start()
        task = self.bar.add_task("fitting", total=self.epochs)

        def on_epoch(epoch: int, record: dict[str, float]) -> None:
            self.bar.update(
                task, completed=epoch + 1, description=f"fitting, held-out loss {record['val_loss']:.4g}"
            )

        return on_epoch

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
