"""CSV files as people write them, and as they break them."""

import time

import numpy as np
import pytest

from hw.csvfile import write_csv
from hw.ports import STANDARD_GRAVITY_MPS2
from hw.recording import Gap, RecordingError, load

G = STANDARD_GRAVITY_MPS2
STEP_S = 0.005
"""200 Hz"""


def rows(n=40, axes=3, *, time=True, mark=",", decimal="."):
    lines = []
    for k in range(n):
        values = ([k * STEP_S] if time else []) + [0.01 * ((k * 7 + axis) % 13) for axis in range(axes)]
        lines.append(mark.join(f"{value:.6f}" for value in values).replace(".", decimal))
    return lines


def expected(n=40, axes=3):
    return np.array([[0.01 * ((k * 7 + axis) % 13) for axis in range(axes)] for k in range(n)])


def write(folder, lines, name="a.csv", end="\n"):
    path = folder / name
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


GOOD = {
    "comma, header, time": (["t,x,y,z", *rows()], {}),
    "time_s": (["time_s,ax,ay,az", *rows()], {}),
    "time (s)": (["Time (s),x (g),y (g),z (g)", *rows()], {}),
    "quoted": (['"timestamp","x","y","z"', *rows()], {}),
    "tab": (["t\tx\ty\tz", *rows(mark="\t")], {}),
    "blanks": (["t  x [g]  y [g]  z [g]", *rows(mark="   ")], {}),
    "semicolon, decimal comma": (["t;x;y;z", *rows(mark=";", decimal=",")], {}),
    "semicolon, decimal point": (["t;x;y;z", *rows(mark=";")], {}),
    "no header, axes say that the first is a time": (rows(), {"axes": 3}),
    "no time, rate given": (["x,y,z", *rows(time=False)], {"rate_hz": 200.0}),
    "no header, no time": (rows(time=False), {"rate_hz": 200.0}),
    "comments and blank lines": (["# made by hand", "", "t,x,y,z", *rows(), "", ""], {}),
    "byte order mark": (["\ufefft,x,y,z", *rows()], {}),
    "trailing delimiter": (["t,x,y,z,", *[line + "," for line in rows()]], {}),
    "rate agrees": (["t,x,y,z", *rows()], {"rate_hz": 201.0}),
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("case", GOOD)
def test_good(tmp_path, case, end):
    lines, asked = GOOD[case]
    got = load(write(tmp_path, lines, end=end), **asked)
    assert got.rate_hz == pytest.approx(200.0)
    assert got.accel == pytest.approx(expected() * G, abs=1e-5)
    assert got.accel.dtype == np.float32
    assert got.gaps == ()


@pytest.mark.parametrize("name", ["a.txt", "a.tsv", "a.CSV"])
def test_suffixes(tmp_path, name):
    assert load(write(tmp_path, ["t,x,y,z", *rows()], name)).accel.shape == (40, 3)


def test_one_column(tmp_path):
    got = load(write(tmp_path, ["x [g]", *rows(time=False, axes=1)]), 200.0)
    assert got.accel == pytest.approx(expected(axes=1) * G, abs=1e-5)


def test_first_axes_of_many_columns(tmp_path):
    got = load(write(tmp_path, ["t,a,b,c,d,e", *rows(axes=5)]), axes=2)
    assert got.axis_names == ("a", "b")
    assert got.accel == pytest.approx(expected(axes=2) * G, abs=1e-5)


@pytest.mark.parametrize(
    ("header", "scale"),
    [("x_g", G), ("x (m/s2)", 1.0), ("x [m/s²]", 1.0), ("x_mps2", 1.0), ("x [mg]", G / 1000), ("x", 1.0)],
)
def test_units_of_the_header_count_more_than_those_given(tmp_path, header, scale):
    path = write(tmp_path, [f"t,{header}", *rows(axes=1)])
    got = load(path, units="m/s2")
    assert got.accel == pytest.approx(expected(axes=1) * scale, rel=1e-5, abs=1e-6)
    assert got.axis_names == ("x",)


@pytest.mark.parametrize(
    ("header", "factor"), [("time_ms", 1e3), ("t (us)", 1e6), ("timestamp [µs]", 1e6), ("time_ns", 1e9)]
)
def test_time_units(tmp_path, header, factor):
    lines = [f"{k * STEP_S * factor:.3f},{k % 3}" for k in range(40)]
    assert load(write(tmp_path, [f"{header},x", *lines])).rate_hz == pytest.approx(200.0)


def test_a_unit_of_time_says_what_a_column_is(tmp_path):
    lines = [f"{k / 2},{k * STEP_S * 1e3:.3f},{k % 3}" for k in range(40)]
    got = load(write(tmp_path, ["x,Zeit [ms],y", *lines]))
    assert got.rate_hz == pytest.approx(200.0)
    assert got.axis_names == ("x", "y")


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        (["sample,a,b,c"], {"rate_hz": 200.0}),
        (["sample,a,b,c"], {"rate_hz": 200.0, "axes": 3}),
        ([",a,b,c"], {"rate_hz": 200.0, "axes": 3}),
        ([], {"rate_hz": 200.0}),
        ([], {"rate_hz": 200.0, "axes": 3}),
    ],
)
def test_a_column_that_counts_the_rows_is_no_axis(tmp_path, header, asked):
    lines = [f"{7 + k},{line}" for k, line in enumerate(rows(time=False))]
    got = load(write(tmp_path, [*header, *lines]), **asked)
    assert got.rate_hz == 200.0
    assert got.accel == pytest.approx(expected() * G, abs=1e-5)


def test_a_count_beside_a_time_is_no_axis(tmp_path):
    lines = [f"{k},{line}" for k, line in enumerate(rows())]
    got = load(write(tmp_path, ["sample,time,x,y,z", *lines]), axes=3)
    assert got.rate_hz == pytest.approx(200.0)
    assert got.accel == pytest.approx(expected() * G, abs=1e-5)


def test_a_time_that_counts_is_a_time(tmp_path):
    lines = [f"{k},{k % 3}" for k in range(40)]
    assert load(write(tmp_path, ["time_ms,x", *lines])).rate_hz == pytest.approx(1000.0)


def test_units_of_columns_that_are_not_taken_are_no_fault(tmp_path):
    got = load(write(tmp_path, ["t,x [g],y [g],wx [dps],temp [degC]", *rows(axes=4)]), axes=2)
    assert got.axis_names == ("x", "y")
    assert got.accel == pytest.approx(expected(axes=2) * G, abs=1e-5)


def test_time_of_day_is_kept(tmp_path):
    lines = [f"{1_700_000_000 + k * STEP_S:.3f},{k % 3}" for k in range(40)]
    got = load(write(tmp_path, ["timestamp,x", *lines]))
    assert got.t0_utc_ns == 1_700_000_000_000_000_000
    assert got.rate_hz == pytest.approx(200.0, rel=1e-4)


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "NA", "null", "-"])
def test_missing_cells_are_nan(tmp_path, cell):
    lines = ["t,x,y", *rows(axes=2)]
    lines[5] = f"0.020,{cell},0.5"
    got = load(write(tmp_path, lines))
    assert np.isnan(got.accel[4, 0])
    assert np.isnan(got.accel).sum() == 1
    assert got.accel[4, 1] == pytest.approx(0.5 * G)


def test_gaps_are_found_and_do_not_bend_the_rate(tmp_path):
    lines = rows()
    del lines[30:33], lines[10]
    got = load(write(tmp_path, ["t,x,y,z", *lines]))
    assert got.gaps == (Gap(9, 1), Gap(28, 3))
    assert got.rate_hz == pytest.approx(200.0)


def test_rounded_times_give_the_rate_all_the_same(tmp_path):
    lines = [f"{k / 3200:.5f},{k % 5}" for k in range(3200)]
    got = load(write(tmp_path, ["t,x", *lines]))
    assert got.rate_hz == pytest.approx(3200.0, rel=1e-4)
    assert got.gaps == ()


def with_line(at, line, **kind):
    lines = ["t,x,y,z", *rows(**kind)]
    lines[at] = line
    return lines


BROKEN = {
    "empty": ([], {}, "no rows"),
    "blank lines only": (["", "  ", ""], {}, "no rows"),
    "header only": (["t,x,y,z"], {}, ":1: a header only"),
    "one row": (["t,x,y,z", "0,1,2,3"], {}, "1 row"),
    "text in a cell": (with_line(20, "0.095,0.1,oops,0.2"), {}, ":21:3: 'oops'"),
    "text in a time": (with_line(20, "12:30:01,0.1,0.1,0.2"), {}, ":21:1: '12:30:01'"),
    "underscore": (with_line(20, "0.095,1_0,0.1,0.2"), {}, ":21:2: '1_0'"),
    "decimal comma between commas": (with_line(20, "0.095,0,1,0,1,0,2"), {}, ":21: 7 columns"),
    "short row": (with_line(20, "0.095,0.1"), {}, ":21: 2 columns; expected 4"),
    "torn last row": (with_line(40, "0.195,0."), {}, ":41: 2 columns; expected 4"),
    "long row": (with_line(20, "0.095,0.1,0.1,0.1,0.1"), {}, ":21: 5 columns; expected 4"),
    "time goes back": (with_line(20, "0.001,0.1,0.1,0.1"), {}, ":21: time 0.001 s"),
    "time stands": (with_line(20, "0.090,0.1,0.1,0.1"), {}, ":21: time 0.09 s"),
    "time missing": (with_line(20, ",0.1,0.1,0.1"), {}, ":21: time nan"),
    "time goes back, no header": (with_line(20, "0.001,0.1,0.1,0.1")[1:], {"axes": 3}, ":20: time"),
    "time goes back after a blank line": (["", *with_line(20, "0.001,0.1,0.1,0.1")], {}, ":22: time"),
    "infinite": (with_line(20, "0.095,0.1,inf,0.1"), {}, ":21:3: inf"),
    "absurd": (with_line(20, "0.095,0.1,1e30,0.1"), {}, r":21:3: 1e\+30"),
    "no rate": (["x,y,z", *rows(time=False)], {}, "give the rate"),
    "too few columns": (["t,x", *rows(axes=1)], {"axes": 3}, "1 data columns; expected 3"),
    "too many columns": (["t,a,b,c,d", *rows(axes=4)], {}, "4 data columns"),
    "axes out of range": (["t,x,y,z", *rows()], {"axes": 5}, "1 to 3"),
    "only a time": (["t", *[f"{k * STEP_S}" for k in range(40)]], {"axes": 1}, "0 data columns"),
    "only a time, of all": (["t", *[f"{k * STEP_S}" for k in range(40)]], {}, "0 data columns; expected 1"),
    "header too short": (["t,x,y", *rows()], {}, ":1: a header of 3 cells above rows of 4"),
    "volts": (["t,x [V],y [V],z [V]", *rows()], {}, ":1: column 'x \\[V\\]' in 'V'"),
    "slow by its time": (["t,x", *[f"{k},{k % 3}" for k in range(40)]], {}, "rate 1 Hz"),
    "slow as given": (["x,y,z", *rows(time=False)], {"rate_hz": 49.0}, "rate 49 Hz"),
    "fast as given": (["x,y,z", *rows(time=False)], {"rate_hz": 1e6}, "rate 1e"),
    "rate contradicts": (["t,x,y,z", *rows()], {"rate_hz": 400.0}, "200 Hz, 400 Hz was given"),
    "unnamed time": (rows(axes=2), {"rate_hz": 200.0}, "no header, and the first of 3 columns"),
    "empty column": (["t,x,y", *[line + "," for line in rows(axes=1)]], {}, "column 3 holds no number"),
    "binary": (["t,x\0", *rows(axes=1)], {}, "zero bytes"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken(tmp_path, case):
    lines, asked, found = BROKEN[case]
    path = write(tmp_path, lines)
    with pytest.raises(RecordingError, match=found) as caught:
        load(path, **asked)
    assert str(path) in str(caught.value)
    assert ";" in str(caught.value)


def test_round_trip(tmp_path):
    accel = np.random.default_rng(1).normal(0, 20, (2000, 3)).astype(np.float32)
    for units in ("g", "m/s2"):
        write_csv(tmp_path / "a.csv", accel, 3332.0, ("x", "y", "z"), units)
        got = load(tmp_path / "a.csv", units="m/s2" if units == "g" else "g")
        assert got.accel == pytest.approx(accel, rel=1e-6)
        assert got.rate_hz == pytest.approx(3332.0, rel=1e-6)
        assert got.axis_names == ("x", "y", "z")


def test_large_file_is_quick(tmp_path):
    """A tenth of a million rows in far less than the seconds that a million may take."""
    accel = np.random.default_rng(1).normal(0, 20, (100_000, 3)).astype(np.float32)
    write_csv(tmp_path / "a.csv", accel, 25600.0, ("x", "y", "z"))
    begin = time.process_time()
    assert load(tmp_path / "a.csv").accel.shape == accel.shape
    assert time.process_time() - begin < 3.0
