"""What is written is read back by Python's own reader."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shapeshift.show import toml

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")


@pytest.mark.parametrize(
    "value",
    [
        *(
            0,
            -3,
            2**60,
            True,
            False,
            1e-300,
            1e22,
            -0.5,
            3.0,
            math.inf,
            "",
            "plain",
            [],
            ["a", 1.5],
            [[1], [2]],
        ),
        *(
            {"b": 1, "c d": {"e": "f"}},
            'quoted "so" and \\so',
            "lines\nand\ttabs\r",
            "\x00\x1f\x7f",
            "Å µ 日本",
        ),
        *("= [not a table]", "# no comment", "'''", "\U0001f600"),
    ],
)
def test_values_come_back(value: object) -> None:
    back = tomllib.loads(toml.dumps({"table": {"key": value}}))["table"]["key"]
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("key", ["plain", "with space", 'quo"te', "a.b", "Å", ""])
def test_keys_come_back(key: str) -> None:
    assert tomllib.loads(toml.dumps({key: {key: 1}})) == {key: {key: 1}}


def test_what_toml_lacks() -> None:
    table = {
        "nothing": None,
        "nan": math.nan,
        "tuple": (1, 2),
        "numpy": np.float64(0.5),
        "count": np.int64(3),
    }
    table |= {"truth": np.bool_(True), "broken": "a\udcffb"}
    back = tomllib.loads(toml.dumps({"t": table}))["t"]
    assert math.isnan(back.pop("nan"))
    expected = {"nothing": "none", "tuple": [1, 2], "numpy": 0.5, "count": 3, "truth": True, "broken": "a?b"}
    assert back == expected
