"""Text tables in the ways people write them, and what wrong cells get."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import shapeshift as ss

AXIS = np.round(np.linspace(400.0, 431.0, 32) + 0.3 * np.sin(np.arange(32)), 3)  # rises, unevenly
_rng = np.random.default_rng(4)
_centre = _rng.uniform(408, 422, (9, 1))
SIGNALS = np.round(np.exp(-((AXIS - _centre) ** 2) / 20) + 0.01 * _rng.normal(size=(9, 32)), 6)


def write(path: Path, rows: object, delimiter: str = ",", top: str = "", decimal: str = ".") -> Path:
    """Rows of numbers or words as text."""
    lines = [delimiter.join(str(cell).replace(".", decimal) for cell in row) for row in rows]  # type: ignore[attr-defined]
    path.write_text(top + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def with_axis_row() -> np.ndarray:
    return np.vstack([AXIS, SIGNALS])


def with_axis_column() -> np.ndarray:
    return np.column_stack([AXIS, SIGNALS.T])


def check(da, axis: np.ndarray | None = AXIS, *, values: np.ndarray = SIGNALS) -> None:
    np.testing.assert_array_equal(da.values, values)
    np.testing.assert_array_equal(da[da.dims[-1]].values, np.arange(32.0) if axis is None else axis)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " ", "  ", " | "])
@pytest.mark.parametrize("ending", ["csv", "txt", "tsv"])
def test_delimiters(tmp_path: Path, delimiter: str, ending: str) -> None:
    check(ss.open(write(tmp_path / f"a.{ending}", with_axis_row(), delimiter)))


@pytest.mark.parametrize("delimiter", [";", "\t", " "])
def test_decimal_comma(tmp_path: Path, delimiter: str) -> None:
    da = ss.open(write(tmp_path / "a.csv", with_axis_row(), delimiter, decimal=","))
    check(da)
    assert "decimal comma" in da.attrs["notes"]


def test_packed_text(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.txt.gz", "wt") as file:
        np.savetxt(file, with_axis_row())
    check(ss.open(tmp_path / "a.txt.gz"))


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(20, 30)) * 10.0 ** np.arange(-15, 15)
    np.savetxt(tmp_path / "a.csv", values, delimiter=",", fmt="%.17g")
    np.testing.assert_array_equal(ss.open(tmp_path / "a.csv", orientation="rows").values, values)


def test_bare_numbers(tmp_path: Path) -> None:
    da = ss.open(write(tmp_path / "a.csv", SIGNALS))
    check(da, None)
    assert "signals are rows" in da.attrs["notes"]


def test_bare_numbers_in_columns(tmp_path: Path) -> None:
    da = ss.open(write(tmp_path / "a.csv", SIGNALS.T))
    check(da, None)
    assert "signals are columns" in da.attrs["notes"]


def test_axis_in_the_first_column(tmp_path: Path) -> None:
    check(ss.open(write(tmp_path / "a.csv", with_axis_column())))


def test_a_falling_axis_is_an_axis(tmp_path: Path) -> None:
    da = ss.open(write(tmp_path / "a.csv", with_axis_row()[:, ::-1]))
    check(da, AXIS[::-1], values=SIGNALS[:, ::-1])


def test_named_columns(tmp_path: Path) -> None:
    names = ",".join(["wavelength (nm)", *(f"grain {i}" for i in range(9))])
    da = ss.open(write(tmp_path / "a.csv", with_axis_column(), top=names + "\n"))
    check(da)
    assert (da.dims, da["wavelength"].attrs["units"]) == (("signal", "wavelength"), "nm")
    assert da["signal"].values.tolist() == [f"grain {i}" for i in range(9)]


def test_names_in_a_comment_as_numpy_writes_them(tmp_path: Path) -> None:
    header = ",".join(["energy (eV)", *"abcdefghi"])
    np.savetxt(tmp_path / "a.csv", with_axis_column(), delimiter=",", header=header)
    da = ss.open(tmp_path / "a.csv")
    np.testing.assert_array_equal(da.values, SIGNALS)
    assert (da.dims[-1], da["energy"].attrs["units"]) == ("energy", "eV")


def test_comments_and_lines_of_text_at_the_top(tmp_path: Path) -> None:
    da = ss.open(
        write(tmp_path / "a.txt", with_axis_row(), "\t", top="# made on Monday\nSpectrometer 3\nMap A\n")
    )
    check(da)
    assert "2 lines of text" in da.attrs["notes"]


def test_windows_lines_byte_order_mark_and_last_delimiters(tmp_path: Path) -> None:
    lines = [";".join(map(str, row)) + ";" for row in with_axis_row()]
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    check(ss.open(tmp_path / "a.csv"))


def test_units_in_the_letters_of_old_instruments(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", with_axis_column(), "\t")
    head = "\t".join(["distance (µm)", *"abcdefghi"]) + "\n"
    (tmp_path / "a.txt").write_bytes(head.encode("latin-1") + (tmp_path / "a.txt").read_bytes())
    assert ss.open(tmp_path / "a.txt")["distance"].attrs["units"] == "µm"


@pytest.mark.parametrize("kept", [True, False])
def test_a_data_frame_of_rows(tmp_path: Path, kept: bool) -> None:
    pd.DataFrame(SIGNALS, columns=AXIS).to_csv(tmp_path / "a.csv", index=kept)
    check(ss.open(tmp_path / "a.csv"))


def test_a_data_frame_with_a_counting_index_and_counting_columns(tmp_path: Path) -> None:
    pd.DataFrame(SIGNALS).to_csv(tmp_path / "a.csv")
    check(ss.open(tmp_path / "a.csv"), np.arange(32.0))


def test_a_data_frame_of_columns(tmp_path: Path) -> None:
    pd.DataFrame(SIGNALS.T, index=pd.Index(AXIS, name="energy (eV)")).to_csv(tmp_path / "a.csv")
    da = ss.open(tmp_path / "a.csv")
    check(da)
    assert da["energy"].attrs["units"] == "eV"


def test_rows_that_begin_with_a_word(tmp_path: Path) -> None:
    frame = pd.DataFrame(SIGNALS, columns=AXIS, index=[f"grain {i}" for i in range(9)])
    frame.to_csv(tmp_path / "a.csv")
    da = ss.open(tmp_path / "a.csv")
    check(da)
    assert da["signal"].values[3] == "grain 3"


def test_a_coordinate_before_each_signal(tmp_path: Path) -> None:
    kelvin = np.array([80, 90, 100, 120, 150, 180, 200, 250, 300.0])
    frame = pd.DataFrame(SIGNALS, columns=AXIS, index=pd.Index(kelvin, name="temperature (K)"))
    frame.to_csv(tmp_path / "a.csv")
    da = ss.open(tmp_path / "a.csv")
    check(da)
    np.testing.assert_array_equal(da["temperature"].values, kelvin)
    assert da["temperature"].attrs["units"] == "K"


def test_two_coordinates_make_a_map(tmp_path: Path) -> None:
    rows = [["row (um)", "column (um)", *AXIS]]
    rows += [[0.5 * (i // 3), 0.2 * (i % 3), *signal] for i, signal in enumerate(SIGNALS)]
    da = ss.open(write(tmp_path / "a.txt", rows, "\t"))
    assert da.dims[:2] == ("row", "column")
    check(da, values=SIGNALS.reshape(3, 3, 32))
    np.testing.assert_allclose(da["column"].values, [0, 0.2, 0.4])
    assert da["row"].attrs["units"] == "um"


def test_missing_numbers_stay_missing(tmp_path: Path) -> None:
    rows = with_axis_row().astype(object)
    expected = SIGNALS.copy()
    rows[3, 4], rows[5, 6], expected[2, 4], expected[4, 6] = "", "NaN", np.nan, np.nan
    check(ss.open(write(tmp_path / "a.csv", rows)), values=expected)


def test_options_go_before_what_it_looks_like(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", with_axis_row())
    check(ss.open(path, axis="none"), None, values=with_axis_row())
    turned = ss.open(path, orientation="columns")
    np.testing.assert_array_equal(turned.values, with_axis_row().T)
    named = write(tmp_path / "b.csv", with_axis_column()[:, ::-1], top=",".join([*"abcdefghi", "U"]) + "\n")
    check(ss.open(named, axis="U"), values=SIGNALS[::-1])


def test_axis_of_no_column(tmp_path: Path) -> None:
    with pytest.raises(ss.ShapeshiftError, match=r"'volt'.*'row', 'column' or 'none'"):
        ss.open(write(tmp_path / "a.csv", with_axis_row()), axis="volt")
    with pytest.raises(ss.ShapeshiftError, match="one table"):
        ss.open(write(tmp_path / "a.csv", with_axis_row()), array="X")


# --- what is wrong, and where


def test_text_among_numbers_is_named_by_line_and_column(tmp_path: Path) -> None:
    rows = with_axis_row().astype(object)
    rows[4, 7] = "oops"
    path = write(tmp_path / "a.csv", rows, top="# comment\n\n")
    with pytest.raises(ss.ShapeshiftError, match=r"a\.csv, line 7, column 8: got the text 'oops'"):
        ss.open(path)


def test_text_in_the_first_cell_of_a_line(tmp_path: Path) -> None:
    rows = with_axis_row().astype(object)
    rows[4, 0] = "oops"
    with pytest.raises(ss.ShapeshiftError, match=r"line 5, column 1: got the text 'oops'"):
        ss.open(write(tmp_path / "a.csv", rows))


def test_complex_numbers(tmp_path: Path) -> None:
    rows = SIGNALS.astype(object)
    rows[1, 2] = "1.0+2.0j"
    with pytest.raises(ss.ShapeshiftError, match=r"line 2, column 3: got the complex number"):
        ss.open(write(tmp_path / "a.csv", rows))


@pytest.mark.parametrize("cells", [30, 35])
def test_a_line_of_another_length(tmp_path: Path, cells: int) -> None:
    rows = [list(row) for row in SIGNALS]
    rows[5] = [1.5] * cells
    with pytest.raises(ss.ShapeshiftError, match=rf"line 6: got {cells} cells, needed 32"):
        ss.open(write(tmp_path / "a.csv", rows))


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("\n\n   \n", "without numbers"),
        ("# only\n# words\n", "without numbers"),
        ("only words\nand more of them\n", "text only"),
        ("1 2 3 4 5 6 7 8\n", "one signal"),
        ("1\n2\n3\n", "one sample"),
        ("energy (eV),counts\n1,5\n2,3\n3,7\n4,1\n", "one signal of 4 samples"),
    ],
)
def test_no_stack_of_signals(tmp_path: Path, text: str, needed: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ss.ShapeshiftError, match=needed):
        ss.open(tmp_path / "a.csv")


def test_words_before_rows_outweigh_how_smooth_columns_are(tmp_path: Path) -> None:
    rows = [[f"energy {i}", *row] for i, row in enumerate(SIGNALS.T)]
    np.testing.assert_array_equal(ss.open(write(tmp_path / "a.csv", rows)).values, SIGNALS.T)


def test_a_first_signal_that_rises_in_steps_among_its_like_is_a_signal(tmp_path: Path) -> None:
    stairs = np.cumsum(np.random.default_rng(0).random((6, 30)) < 0.7, axis=1)
    da = ss.open(write(tmp_path / "a.csv", stairs), orientation="rows")
    assert da.shape == (6, 30)


def test_an_axis_that_repeats_can_be_taken_for_a_signal_by_asking(tmp_path: Path) -> None:
    rows = with_axis_row()
    rows[0, 7] = rows[0, 6]
    path = write(tmp_path / "a.csv", rows)
    with pytest.raises(ss.ShapeshiftError, match=f"the value {rows[0, 6]:g} repeats"):
        ss.open(path)
    assert ss.open(path, axis="none", orientation="rows").shape == (10, 32)


@pytest.mark.parametrize("table", [np.vstack([AXIS, SIGNALS[:1]]), np.column_stack([AXIS, SIGNALS[0]])])
def test_one_signal_is_read_where_one_will_do(tmp_path: Path, table: np.ndarray) -> None:
    path = write(tmp_path / "a.csv", table)
    check(ss.open(path, single=True), values=SIGNALS[:1])
    with pytest.raises(ss.ShapeshiftError, match="one signal"):
        ss.open(path)


def test_one_line_of_numbers_is_one_signal_where_one_will_do(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SIGNALS[0])
    np.savez(tmp_path / "a.npz", X=SIGNALS[0], x=AXIS)
    check(ss.open(tmp_path / "a.npy", single=True), None, values=SIGNALS[:1])
    check(ss.open(tmp_path / "a.npz", array="X", single=True), values=SIGNALS[:1])
