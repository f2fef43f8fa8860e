"""What the head of a CSV file says: delimiter, names, units, which column is the time."""

import re
from pathlib import Path
from typing import NamedTuple

from hw.ports import STANDARD_GRAVITY_MPS2
from hw.waveform import RecordingError

ACCEL_UNITS = {"g": STANDARD_GRAVITY_MPS2, "mg": STANDARD_GRAVITY_MPS2 / 1000.0} | dict.fromkeys(
    ("m/s2", "m/s^2", "m/s²", "m/s/s", "mps2", "ms2", "m_s2"), 1.0
)
TIME_UNITS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
TIME_NAMES = {"t", "time", "timestamp", "seconds", "sec"}
MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}
_NAME_UNIT = re.compile(r"^(?P<name>.*?)\s*(?:[\[(]\s*(?P<unit>[^\])]*?)\s*[\])])?$")


class Column(NamedTuple):
    """A column's name without its unit; what to multiply by for seconds (a time) or m/s²; None = not said.

    fault: why it cannot be an axis, if it cannot.
    """

    name: str
    time_s: float | None = None
    unit_mps2: float | None = None
    fault: str = ""


class Head(NamedTuple):
    """delimiter None = blanks. columns None = no header. first_line: 1-based line of the first data row."""

    delimiter: str | None
    columns: tuple[Column, ...] | None
    first_line: int


def split_cells(line: str, delimiter: str | None) -> list[str]:
    """The cells of a line, stripped of blanks and quotes."""
    return [cell.strip().strip('"') for cell in line.split(delimiter)]


def number(cell: str, delimiter: str | None) -> float:
    """A cell's value, NaN where it is missing; a decimal comma counts only in ;-files. Raises ValueError."""
    if cell.lower() in MISSING:
        return float("nan")
    if "_" in cell:
        raise ValueError(cell)
    return float(cell.replace(",", ".") if delimiter == ";" else cell)


def read_head(path: Path, lines: list[str]) -> Head:
    """Read the first lines of a file. Raises RecordingError."""
    content = [at for at, line in enumerate(lines) if line.strip() and not line.startswith("#")][:2]
    if not content:
        raise RecordingError(f"{path}: no rows; expected samples; the file is empty")
    sample = lines[content[-1]]
    delimiter = next((mark for mark in (";", "\t", ",") if mark in sample), None)
    first = split_cells(lines[content[0]], delimiter)
    if _all_numbers(first, delimiter):
        return Head(delimiter, None, content[0] + 1)
    if len(content) < 2:
        raise RecordingError(
            f"{path}:{content[0] + 1}: a header only; expected samples below it; record again"
        )
    cells = _header_cells(lines[content[0]], delimiter, len(split_cells(sample, delimiter)))
    found, expected = len(cells), len(split_cells(sample, delimiter))
    if found != expected:
        raise RecordingError(
            f"{path}:{content[0] + 1}: a header of {found} cells above rows of {expected}; "
            "expected as many; correct the header or the delimiter"
        )
    columns = tuple(_column(path, content[0] + 1, cell) for cell in cells)
    return Head(delimiter, columns, content[1] + 1)


def _all_numbers(cells: list[str], delimiter: str | None) -> bool:
    try:
        for cell in cells:
            number(cell, delimiter)
    except ValueError:
        return False
    return True


def _header_cells(line: str, delimiter: str | None, expected: int) -> list[str]:
    """Header cells; between blanks a unit in brackets belongs to the name before it."""
    if delimiter is not None:
        return split_cells(line, delimiter)
    return [line.strip()] if expected == 1 else split_cells(re.sub(r"\s+(?=[\[(])", "", line), None)


def _column(path: Path, line: int, cell: str) -> Column:
    """Name and unit of one header cell: 'x_g', 'ax (m/s2)', 'z [g]', 'time_ms'."""
    match = _NAME_UNIT.match(cell)
    name, unit = (match["name"].strip(), match["unit"]) if match else (cell, None)
    if unit is None:
        name, unit = _suffix_unit(name)
    if unit is None:
        return Column(name, time_s=1.0 if name.lower() in TIME_NAMES else None)
    if unit.lower() in TIME_UNITS:
        return Column(name, time_s=TIME_UNITS[unit.lower()])
    if unit.lower() in ACCEL_UNITS:
        return Column(name, unit_mps2=ACCEL_UNITS[unit.lower()])
    return Column(
        name,
        fault=f"{path}:{line}: column {cell!r} in {unit!r}; expected one of {', '.join(ACCEL_UNITS)}, "
        f"or of {', '.join(TIME_UNITS)} for a time; convert it or correct the header",
    )


def _suffix_unit(name: str) -> tuple[str, str | None]:
    """'x_g' -> 'x', 'g'; a suffix that is no unit stays in the name."""
    for unit in (*ACCEL_UNITS, *TIME_UNITS):
        base = name[: -len(unit) - 1]
        if base and name.lower().endswith(f"_{unit}") and (unit in ACCEL_UNITS or base.lower() in TIME_NAMES):
            return base, unit
    return name, None
