"""CSV recordings: any of , ; tab or blanks between columns, with or without header and time column."""

from array import array
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.csvhead import Column, Head, number, read_head, split_cells
from hw.waveform import (
    DEFAULT_AXES,
    F32,
    MOST_BYTES,
    MOST_MPS2,
    UNIT_MPS2,
    Gap,
    Recording,
    RecordingError,
    Units,
    agreed_rate_hz,
    checked_rate_hz,
    chosen_axes,
)

F64 = NDArray[np.float64]

GAP_STEPS = 1.5
RATE_AGREES = 0.01
EVIDENT_TIME_ROWS = 16


class _Table(NamedTuple):
    path: Path
    lines: list[str]
    head: Head
    values: F64
    """shape (rows, columns)"""

    def line(self, row: int) -> int:
        """1-based line of a row."""
        rows = (at for at in range(self.head.first_line - 1, len(self.lines)) if self.lines[at].strip())
        return next(at + 1 for count, at in enumerate(rows) if count == row)


def read_csv(
    path: Path, rate_hz: float | None = None, units: Units = "g", axes: int | None = None
) -> Recording:
    """Read a CSV file; docs/RECORDINGS.md has the rules.

    Args:
        path: the file.
        rate_hz: needed without a time column; with one it must agree within 1 %.
        units: of columns whose header names none.
        axes: take the first so many data columns; None = all, at most 3.

    Raises:
        RecordingError: what is wrong, with line and column.
    """
    table = _read_table(path)
    columns = table.head.columns or tuple(Column("") for _ in range(table.values.shape[1]))
    counts = _row_counts(table, columns)
    time = _time_column(table, columns, axes, counts)
    data = [at for at, column in enumerate(columns) if at not in {time, *counts} and column.time_s is None]
    count = chosen_axes(path, len(data), axes)
    data = data[:count]
    for at in data:
        if columns[at].fault:
            raise RecordingError(columns[at].fault)
    t0_utc_ns, gaps = None, tuple[Gap, ...]()
    if time is not None:
        t_s = table.values[:, time] * (columns[time].time_s or 1.0)
        file_hz, gaps = _rate_and_gaps(table, t_s)
        rate = agreed_rate_hz(path, file_hz, rate_hz, RATE_AGREES)
        t0_utc_ns = int(t_s[0] * 1e9) if t_s[0] > 1e9 else None
    elif rate_hz is None:
        raise RecordingError(f"{path}: no time column and no rate; expected one of them; give the rate in Hz")
    else:
        rate = checked_rate_hz(path, rate_hz)
    scale = [columns[at].unit_mps2 or UNIT_MPS2[units] for at in data]
    return Recording(
        name=path.stem,
        rate_hz=rate,
        accel=_accel(table, data, np.array(scale)),
        axis_names=_axis_names([columns[at].name for at in data]),
        gaps=gaps,
        t0_utc_ns=t0_utc_ns,
    )


def _read_table(path: Path) -> _Table:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise RecordingError(f"{path}: {size} bytes; expected at most {MOST_BYTES}; cut the file")
    lines = _decode(path, path.read_bytes()).splitlines()
    head = read_head(path, lines)
    rows = islice(lines, head.first_line - 1, None)
    decimal = (line.replace(",", ".") for line in rows) if head.delimiter == ";" else rows
    try:
        values = np.loadtxt(decimal, np.float64, None, head.delimiter, ndmin=2)
    except ValueError:
        values = _parse_cells(path, lines, head)
    values = _without_empty_end(values, head)
    if head.columns is not None:
        head = head._replace(columns=head.columns[: values.shape[1]])
    if len(values) < 2:
        raise RecordingError(f"{path}: {len(values)} row of samples; expected at least 2; record longer")
    return _Table(path, lines, head, values)


def _decode(path: Path, raw: bytes) -> str:
    if b"\0" in raw:
        raise RecordingError(f"{path}: zero bytes; expected text; this is no CSV file, or a torn one")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _parse_cells(path: Path, lines: list[str], head: Head) -> F64:
    """The slow way: it knows missing cells, and names the line and column of what is no number."""
    flat = array("d")
    width = len(split_cells(lines[head.first_line - 1], head.delimiter))
    for at, line in enumerate(lines[head.first_line - 1 :], head.first_line):
        if not line.strip():
            continue
        cells = split_cells(line, head.delimiter)
        if len(cells) != width:
            raise RecordingError(
                f"{path}:{at}: {len(cells)} columns; expected {width} as above; mend or cut the line"
            )
        for column, cell in enumerate(cells, 1):
            try:
                flat.append(number(cell, head.delimiter))
            except ValueError:
                raise RecordingError(
                    f"{path}:{at}:{column}: {cell!r:.40}; expected a number, or an empty cell; correct it"
                ) from None
    return np.array(flat).reshape(-1, width)


def _without_empty_end(values: F64, head: Head) -> F64:
    """Lines that end in a delimiter have one column too many."""
    unnamed = head.columns is None or not head.columns[-1].name
    empty = values.shape[1] > 1 and unnamed and bool(np.isnan(values[:, -1]).all())
    return values[:, :-1] if empty else values


def _row_counts(table: _Table, columns: tuple[Column, ...]) -> list[int]:
    """Columns that only count the rows, as exports like to: neither a time nor an axis."""
    if len(table.values) <= EVIDENT_TIME_ROWS:
        return []
    likely = (np.diff(table.values[: EVIDENT_TIME_ROWS + 1], axis=0) == 1.0).all(axis=0)
    unnamed = [at for at in np.flatnonzero(likely).tolist() if columns[at].time_s is None]
    return [at for at in unnamed if (np.diff(table.values[:, at]) == 1.0).all()]


def _time_column(
    table: _Table, columns: tuple[Column, ...], axes: int | None, counts: list[int]
) -> int | None:
    """Index of the time column: named so, or the first of axes + 1 that increases."""
    named = next((at for at, column in enumerate(columns) if column.time_s is not None), None)
    if named is not None or len(columns) < 2 or counts:
        return named
    rising = np.diff(table.values[:, 0]) > 0.0
    if axes is not None:
        return 0 if len(columns) == axes + 1 and rising.mean() > 0.9 else None
    if table.head.columns is None and len(rising) >= EVIDENT_TIME_ROWS and rising.all():
        raise RecordingError(
            f"{table.path}: no header, and the first of {len(columns)} columns only increases, as times do; "
            f"expected it to be named; give the number of axes ({len(columns) - 1} if it is a time)"
        )
    return None


def _rate_and_gaps(table: _Table, t_s: F64) -> tuple[float, tuple[Gap, ...]]:
    """Rate from the mean of the steps that are no gaps; a gap is a step longer than 1.5 times the median."""
    steps_s = np.diff(t_s)
    wrong = np.flatnonzero(~(steps_s > 0.0))
    if len(wrong):
        row = int(wrong[0]) + 1
        raise RecordingError(
            f"{table.path}:{table.line(row)}: time {t_s[row]:.9g} s after {t_s[row - 1]:.9g} s; "
            "expected it to increase line by line; cut the file there, or drop that column and give the rate"
        )
    median_s = float(np.median(steps_s))
    long = steps_s > GAP_STEPS * median_s
    gaps = tuple(
        Gap(int(at), max(1, round(float(steps_s[at]) / median_s) - 1)) for at in np.flatnonzero(long)
    )
    return 1.0 / float(steps_s[~long].mean()), gaps


def _accel(table: _Table, data: list[int], scale: F64) -> F32:
    accel = table.values[:, data] * scale
    absurd = np.argwhere(np.abs(accel) > MOST_MPS2)
    if len(absurd):
        row, column = (int(index) for index in absurd[0])
        raise RecordingError(
            f"{table.path}:{table.line(row)}:{data[column] + 1}: {table.values[row, data[column]]:g}; "
            "expected an acceleration; correct it, or leave the cell empty where there is no value"
        )
    for column in np.flatnonzero(np.isnan(accel).all(axis=0)).tolist():
        raise RecordingError(
            f"{table.path}: column {data[column] + 1} holds no number; expected samples; remove the column"
        )
    return accel.astype(np.float32)


def _axis_names(names: list[str]) -> tuple[str, ...]:
    usable = all(names) and len(set(names)) == len(names)
    return tuple(names) if usable else DEFAULT_AXES[: len(names)]


def write_csv(
    path: Path, accel: F32, rate_hz: float, axis_names: tuple[str, ...], units: Units = "g"
) -> None:
    """Write accel, shape (n, axes), m/s², in `units` with a time column, to float32 precision."""
    t_s = np.arange(len(accel)) / rate_hz
    suffix = {"g": "g", "m/s2": "mps2"}[units]
    header = ",".join(["time_s", *(f"{name}_{suffix}" for name in axis_names)])
    rows = np.column_stack((t_s, accel / UNIT_MPS2[units]))
    np.savetxt(
        path, rows, fmt=["%.9f"] + ["%.9g"] * accel.shape[1], delimiter=",", header=header, comments=""
    )
