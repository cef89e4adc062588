"""Text: its delimiter, decimal sign, headings and comments are found out, and every wrong cell is named."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from shapeshift.data import own_table
from shapeshift.data.carrier import Want, check_size, label, monotonic, refuse_repeats
from shapeshift.data.layout import Table, arrange
from shapeshift.data.metadata import unpacked
from shapeshift.data.named import from_array
from shapeshift.data.pictures import images
from shapeshift.errors import ShapeshiftError

_COMMENTS = ("#", "%", "!", "//")
_DELIMITERS = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar", None: "blanks"}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.IGNORECASE)
_COMPLEX = re.compile(r"\(?[+-]?[\d.eE]+[+-][\d.eE+-]*[ij]\)?|[+-]?[\d.]+[ij]")
_MISSING = {"", "nan", "na", "n/a", "null", "none", "-nan", "#n/a"}
_SAMPLE = 50  # lines looked at to find the delimiter ...
_LOOK = 4000  # ... and characters of each
_TEXT_FLOOR = (
    8 * 2**20
)  # bytes of text that are above suspicion: a cell takes thirty times its size for a while
_NOTE = 2000  # characters of a comment that are read


class Line(NamedTuple):
    """A line of text and where it stands in the file, counted from 1."""

    number: int
    text: str


class Form(NamedTuple):
    """How numbers are written; the delimiter None is any run of blanks."""

    delimiter: str | None
    decimal: str

    def split(self, text: str) -> list[str]:
        """The cells of a line."""
        if self.delimiter is None:
            return text.split()
        if '"' not in text:
            return [cell.strip() for cell in text.split(self.delimiter)]
        try:
            return [cell.strip() for cell in next(csv.reader([text], delimiter=self.delimiter))]
        except csv.Error:  # a quotation without end
            return [cell.strip() for cell in text.split(self.delimiter)]

    def is_number(self, cell: str) -> bool:
        """Whether a cell is a number or stands for a missing one."""
        if self.decimal == ",":
            cell = cell.replace(",", ".") if re.search(r",\d", cell) and "." not in cell else cell
        return bool(_NUMBER.fullmatch(cell)) or cell.lower() in _MISSING


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals in a text file.

    Raises
    ------
    ShapeshiftError
        If a cell is no number (line and column are named), lines are of unequal length, or there is no table.
    """
    text = _text(path)
    if text.startswith(own_table.MARK) and want.axis is None and want.orientation is None:
        X = own_table.read(text, path.name)
        about, own = unpacked(X.attrs), (str(X.dims[-1]),)
        return from_array(X, want, source=path.name, reader="text", notes=[], metadata=about, own=own)
    lines, comments = _lines(text, path.name)
    form = _form(lines)
    heading, body = _body(_trimmed(lines, form), form, path.name)
    notes = [
        f"{_DELIMITERS[form.delimiter]} between numbers" + (", decimal comma" if form.decimal == "," else "")
    ]
    if want.axis != "none":
        _refuse_near_axis(body, form, path.name)
    table = _table(heading, body, comments, form, path.name)
    passed = len(heading) - bool(table.names)
    if passed > 0:
        notes.append(f"{passed} lines of text at the top passed over")
    signals = arrange(table, want, notes, path.name)
    if want.kind == "image":
        return images(signals.values, want, source=path.name, reader="text", notes=notes)
    return label(signals, want, source=path.name, reader="text", notes=notes)


def _text(path: Path) -> str:
    """The file's text, unpacked as far as memory is safe."""
    check_size(path.stat().st_size, path.stat().st_size, path.name)
    data = _unpacked(path) if path.suffix.lower() == ".gz" else path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:4096]:
        raise ShapeshiftError(
            f"{path.name}: got binary data, needed text: save a table as text, or correct the ending"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # what instruments write units in


def _unpacked(path: Path) -> bytes:
    """The content of a .gz file, stopped where it grows beyond belief."""
    parts: list[bytes] = []
    size = 0
    try:
        with gzip.open(path) as file:
            while part := file.read(2**20):
                size += len(part)
                check_size(size, path.stat().st_size, path.name, floor=_TEXT_FLOOR)
                parts.append(part)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ShapeshiftError(
            f"{path.name}: got a damaged file ({error}), needed a whole .gz file: pack or copy it again"
        ) from error
    return b"".join(parts)


def _lines(text: str, source: str) -> tuple[list[Line], list[str]]:
    """Lines with something in them, and comments without their sign."""
    lines, comments = [], []
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        if line.lstrip().startswith(_COMMENTS):
            comments.append(line.lstrip()[:_NOTE].lstrip("#%!/").strip())
        elif line.strip():
            lines.append(Line(number, line))
    if not lines:
        raise ShapeshiftError(
            f"{source}: got a file without numbers, needed a table of signals: check the file"
        )
    return lines, comments


def _form(lines: Sequence[Line]) -> Form:
    """The delimiter and decimal sign that make most cells numbers, judged by lines from all over the file."""
    step = max(1, len(lines) // _SAMPLE)
    sample = [line.text for line in lines[step // 2 :: step]] + [lines[-1].text]

    def score(form: Form) -> int:
        cells = [cell for text in sample for cell in form.split(text[:_LOOK]) if cell]
        numbers = sum(map(form.is_number, cells))
        return 2 * numbers - len(cells)

    forms = [Form(delimiter, ".") for delimiter in _DELIMITERS]
    forms += [Form(delimiter, ",") for delimiter in _DELIMITERS if delimiter != ","]
    return max(forms, key=score)


def _trimmed(lines: list[Line], form: Form) -> list[Line]:
    """Lines without the delimiter that some programs write after the last number of each."""
    mark = form.delimiter
    last = [line.text.rstrip(" ") for line in lines]
    if mark is None or not all(text.endswith(mark) for text in last[len(last) // 2 :]):
        return lines
    return [Line(line.number, text.removesuffix(mark)) for line, text in zip(lines, last, strict=True)]


def _body(lines: list[Line], form: Form, source: str) -> tuple[list[Line], list[Line]]:
    """Lines of text at the top, and the table itself with equally many cells in each line."""

    def mostly_text(line: Line) -> bool:
        cells = [cell for cell in form.split(line.text) if cell]
        return 2 * sum(map(form.is_number, cells)) < len(cells)

    start = next((i for i, line in enumerate(lines) if not mostly_text(line)), None)
    if start is None:
        raise ShapeshiftError(
            f"{source}: got text only (line {lines[0].number}: {lines[0].text.strip()[:40]!r}), needed a "
            "table of numbers: check the file"
        )
    body = lines[start:]
    widths = [_width(line.text, form) for line in body]
    usual = Counter(widths).most_common(1)[0][0]
    wrong = next((i for i, width in enumerate(widths) if width != usual), None)
    if wrong is not None:
        raise ShapeshiftError(
            f"{source}, line {body[wrong].number}: got {widths[wrong]} cells, needed {usual} as in most "
            "lines: complete the line, or mark missing numbers with nan"
        )
    return lines[:start], body


def _width(text: str, form: Form) -> int:
    if form.delimiter is None or '"' in text:
        return len(form.split(text))
    return text.count(form.delimiter) + 1


def _table(heading: list[Line], body: list[Line], comments: list[str], form: Form, source: str) -> Table:
    """Numbers and the words around them."""
    names = _names(heading, comments, form, len(form.split(body[0].text)))
    top = form.split(body[0].text)
    corner: list[str] = []
    axis_row = None
    if _is_axis_row(body, form):
        lead = next(i for i, cell in enumerate(top) if _is_value(cell, form))
        corner, axis_row, body = top[:lead], _floats(top[lead:], form), body[1:]
    labels, values = _numbers(body, form, source)
    if labels:
        corner, names = corner[1:], names[1:]
    return Table(values, tuple(names), tuple(corner), axis_row, tuple(labels), *_instrument_axis(comments))


def _names(heading: list[Line], comments: list[str], form: Form, width: int) -> list[str]:
    """What stands above the columns: the last line of text, or a comment of as many words (numpy's way)."""
    for text in [line.text for line in heading[-1:]] + comments[-1:]:
        cells = form.split(text)
        if len(cells) == width > 1 and not all(map(form.is_number, cells)):
            return cells
    return []


def _is_axis_row(body: Sequence[Line], form: Form) -> bool:
    """Whether the first line is an axis: empty cells or words, then numbers that only rise or only fall."""
    top = form.split(body[0].text)
    lead = next((i for i, cell in enumerate(top) if _is_value(cell, form)), len(top))
    if lead == 0 or len(body) < 2 or not monotonic(_floats(top[lead:], form)):
        return False
    second = form.split(body[1].text)
    labelled = any(cell and not form.is_number(cell) for cell in second[:lead])
    return not (labelled and top[0] and monotonic(_floats(second[lead:], form)))


def _refuse_near_axis(body: Sequence[Line], form: Form, source: str) -> None:
    """Refuse a first line that is no axis, behind empty cells or words, only because values repeat."""
    top = form.split(body[0].text)
    lead = next((i for i, cell in enumerate(top) if _is_value(cell, form)), len(top))
    if lead:
        others = [_floats(form.split(line.text)[lead:], form) for line in body[1:_SAMPLE]]
        refuse_repeats(_floats(top[lead:], form), others, "first row", source)


def _is_value(cell: str, form: Form) -> bool:
    return form.is_number(cell) and cell.lower() not in _MISSING


def _floats(cells: Sequence[str], form: Form) -> NDArray[np.float64]:
    """Cells as numbers, nan for what is none."""
    plain = [cell.replace(",", ".") if form.decimal == "," else cell for cell in cells]
    return np.array([float(p) if _is_value(c, form) else np.nan for p, c in zip(plain, cells, strict=True)])


def _numbers(body: list[Line], form: Form, source: str) -> tuple[list[str], NDArray[np.float64]]:
    """Labels in the first column, if it is one of words, and the numbers (rows, columns)."""
    texts = [line.text.replace(",", ".") if form.decimal == "," else line.text for line in body]
    try:
        return [], np.loadtxt(texts, delimiter=form.delimiter, comments=None, ndmin=2)
    except ValueError:
        return _cell_by_cell([form.split(line.text) for line in body], body, form, source)


def _cell_by_cell(
    rows: list[list[str]], body: list[Line], form: Form, source: str
) -> tuple[list[str], NDArray[np.float64]]:
    """The same where some cells are empty, or words."""
    labels = [row[0] for row in rows]
    first = int(not any(form.is_number(label) for label in labels))
    for line, row in zip(body, rows, strict=True):
        wrong = next((i for i, cell in enumerate(row[first:], first) if not form.is_number(cell)), None)
        if wrong is not None:
            _refuse(line.number, wrong, row[wrong], source)
    return labels if first else [], np.array([_floats(row[first:], form) for row in rows])


def _refuse(line: int, column: int, cell: str, source: str) -> NoReturn:
    """Name the one cell that is wrong."""
    if _COMPLEX.fullmatch(cell):
        raise ShapeshiftError(
            f"{source}, line {line}, column {column + 1}: got the complex number {cell}, needed real "
            "ones: save their magnitude, real part or phase"
        )
    raise ShapeshiftError(
        f"{source}, line {line}, column {column + 1}: got the text {cell[:40]!r}, needed a number: correct "
        "the cell, or mark a missing number with nan"
    )


def _instrument_axis(comments: Sequence[str]) -> tuple[str, str]:
    """Name and units of the axis as a LabRAM instrument notes them (`AxisUnit[1]=nm`)."""
    noted = dict(
        comment.split("=", 1) for comment in comments if comment.startswith("Axis") and "=" in comment
    )
    units = noted.get("AxisUnit[1]", "").strip()
    return {"nm": "wavelength", "1/cm": "Raman shift", "eV": "energy"}.get(units, ""), units
