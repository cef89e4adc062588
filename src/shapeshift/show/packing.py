"""Arrays in the words of a page: typed bytes in base64, which a browser reads at once."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

_STEPS = 32000  # of 16 bits, for values from the least to the largest
MISSING = -32768  # the code of nan


def packed(values: Any) -> dict[str, Any]:
    """Numbers as they are, to 32 bits.

    Examples
    --------
    >>> packed(np.ones((1, 2)))
    {'dtype': 'float32', 'shape': [1, 2], 'data': 'AACAPwAAgD8='}
    """
    values = np.asarray(values)
    kind = "uint8" if values.dtype == np.uint8 else "int32" if values.dtype.kind in "iu" else "float32"
    return _spec(kind, values.astype(f"<{np.dtype(kind).str[1:]}"))


def along(values: Any) -> dict[str, Any]:
    """Values along a side: where they are even, their first, their step and how many.

    Examples
    --------
    >>> along([1.0, 1.5, 2.0])
    {'first': 1.0, 'step': 0.5, 'size': 3}
    """
    values = np.asarray(values, dtype=float)
    step = float(values[-1] - values[0]) / max(len(values) - 1, 1)
    even = values[0] + step * np.arange(len(values))
    if np.abs(values - even).max() <= 1e-9 * max(abs(values[0]), abs(values[-1]), abs(step)):
        return {"first": float(values[0]), "step": step, "size": len(values)}
    return packed(values)


def quantised(values: Any) -> dict[str, Any]:
    """Numbers in 32 000 steps, which is finer than a screen: half the size.

    Examples
    --------
    >>> told = quantised([0.0, 1.0, np.nan])
    >>> told["dtype"], told["step"], told["offset"]
    ('int16', 3.125e-05, 0.5)
    """
    values = np.asarray(values, dtype=float)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    offset, step = (low + high) / 2, (high - low) / _STEPS or 1.0
    codes = np.where(np.isfinite(values), np.rint((np.nan_to_num(values) - offset) / step), MISSING)
    return _spec("int16", codes.astype("<i2")) | {"step": step, "offset": offset}


def _spec(kind: str, values: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
    return {"dtype": kind, "shape": list(values.shape), "data": data}


def in_script(told: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element.

    Examples
    --------
    >>> print(in_script("</script>"))
    "\\u003c/script\\u003e"
    """
    text = json.dumps(told, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
