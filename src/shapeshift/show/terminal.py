"""How the command line speaks: results on stdout, everything else on stderr, failures as one sentence."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, final

import typer
from typer.core import TyperGroup

from shapeshift.errors import ShapeshiftError, printable


@final
class Commands(TyperGroup):
    """Commands whose failures are a sentence on stderr and status 1; `--debug` shows the traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take `--debug` from wherever it stands."""
        end = args.index("--") if "--" in args else len(args)
        if "--debug" in args[:end]:
            args = ["--debug", *(a for a in args[:end] if a != "--debug"), *args[end:]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command and turn what goes wrong with the input into one sentence."""
        try:
            return super().invoke(ctx)
        except (ShapeshiftError, ValueError, OSError, MemoryError) as error:
            if ctx.params.get("debug") or isinstance(error, BrokenPipeError):
                raise
            log(f"shapeshift: {_sentence(error)}")
            raise typer.Exit(1) from error


def _sentence(error: Exception) -> str:
    """What an error says, on one line."""
    said = " ".join(str(error).split())
    if isinstance(error, ShapeshiftError):
        return said
    return f"{type(error).__name__}: {said or 'no reason given'} (--debug shows where)"


def log(text: str) -> None:
    """A line on stderr, without anything in it that a terminal would obey."""
    typer.echo(printable(text), err=True)


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """A result on stdout: JSON for programs, or aligned lines for people."""
    if as_json:
        whole = json.dumps(_plain(result), indent=2, ensure_ascii=False, allow_nan=False)
        typer.echo("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in whole))
        return
    width = max(len(key) for key in result)
    for key, value in result.items():
        typer.echo(f"{key.replace('_', ' '):<{width}}  {_words(value, width + 2)}")


def _words(value: Any, indent: int) -> str:
    """A value as people write it; one line for each member of a list."""
    if isinstance(value, Mapping) and "sentence" in value:
        return f"{value['severity']}: {value['sentence']}"
    if isinstance(value, Mapping):
        return (
            ", ".join(f"{key} {_words(member, indent)}" for key, member in value.items() if member != "")
            or "none"
        )
    if isinstance(value, list | tuple):
        return ("\n" + " " * indent).join(_words(member, indent) for member in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))


def _plain(value: Any) -> Any:
    """Values as JSON has them: numbers that are none become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def watched() -> bool:
    """Whether somebody looks at stderr, so that a progress bar makes sense."""
    return sys.stderr.isatty()
