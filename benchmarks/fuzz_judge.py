"""What becomes of a damaged or hostile file: read, refused in a sentence, or a fault."""

from __future__ import annotations

import io
import shutil
import zipfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from fuzz_seeds import MODEL

import shapeshift as ss


class Input(NamedTuple):
    """A file to be read: its bytes, its ending and the options it is read with."""

    data: bytes
    ending: str
    reading: dict[str, Any]


class Outcome(NamedTuple):
    """What came of an input: "read", "refused", or "wrong" with what is wrong about it."""

    what: str
    said: str


def outcome(given: Input, folder: Path) -> Outcome:
    """Read an input, and say whether it was read, or refused as it should be."""
    path = folder / f"input{given.ending}"
    if given.ending == ".zarr":
        with zipfile.ZipFile(io.BytesIO(given.data)) as archive:
            archive.extractall(path)
    else:
        path.write_bytes(given.data)
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            if given.ending == MODEL:
                told = _answers(ss.load(path))
            else:
                told = _labelled(ss.open(path, **given.reading))
    except ss.ShapeshiftError as error:
        if printed.getvalue():
            return Outcome("wrong", f"printed {printed.getvalue()[:100]!r}")
        return _refused(error)
    except Exception as error:
        return Outcome("wrong", f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    told = told or (f"printed {printed.getvalue()[:100]!r}" if printed.getvalue() else "")
    return Outcome("wrong" if told else "read", told)


def _refused(error: BaseException) -> Outcome:
    """A sentence that people can read, and no want of memory behind it."""
    said, cause = str(error), error.__cause__
    if not said.isprintable() or not 20 < len(said) <= 2000:
        return Outcome("wrong", f"got an unclear refusal: {said[:200]!r}")
    return Outcome("memory" if isinstance(cause, MemoryError) else "refused", said)


def _labelled(X: xr.DataArray) -> str:
    """What is wrong with what was read, "" for nothing."""
    if X.dtype not in (np.float32, np.float64) or X.ndim < 2 or X.size < 2:
        return f"got an array of {X.dtype} {X.shape}"
    words = [*map(str, X.dims), *map(str, X.coords), *(str(v) for v in X.attrs.values())]
    words += [str(c.attrs.get("units", "")) for c in X.coords.values()]
    strange = next((word for word in words if not word.isprintable() or len(word) > 5000), None)
    return "" if strange is None else f"got the word {strange[:100]!r}"


def _answers(m: Any) -> str:
    """A model that was loaded can be used: it answers, or refuses."""
    if isinstance(m, ss.VED):
        m.predict(np.zeros((2, m.n_features_in_)))
        return ""
    known = None if m.condition_ is None or m.classes_ is not None else np.zeros((3, m.condition_.size))
    m.posterior(np.random.default_rng(0).random((3, m.n_features_in_)), refine=False, condition=known)
    return ""
