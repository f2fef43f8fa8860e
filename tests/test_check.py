"""Broken configuration files: each fault with its line and key, all at once, in the order of the file."""

import os
import re
from pathlib import Path
from random import Random

import pytest
from config_files import SENSOR, THERMOMETER, faults, written

from appliance.check import load
from appliance.errors import ConfigError

# name: (document, [(line, key, a word of the message)]); items of arrays count from 0
BROKEN: dict[str, tuple[str, list[tuple[int, str, str]]]] = {
    "unknown table": ("\n[uplnk]\nport = 1\n", [(2, "uplnk", "did you mean 'uplink'?")]),
    "unknown key at the top": ("statedir = 'x'\n", [(1, "statedir", "did you mean 'state_dir'?")]),
    "unknown key, nothing near": ("[machine]\nzzz = 1\n", [(2, "machine.zzz", "site, area, asset, device")]),
    "unknown dotted key": ("# x\nuplink.prt = 1\n", [(2, "uplink.prt", "did you mean 'port'?")]),
    "unknown key in an array item": (SENSOR + "odr = 1\n", [(4, "vibration[0].odr", "unknown key")]),
    "unknown quoted key": ('[uplink]\n"po rt" = 1\n', [(2, "uplink.po rt", "unknown key")]),
    "unknown key in an inline table": (
        "relay = { driver = 'sim', edgs = 'x' }\n",
        [(1, "relay.edgs", "did you mean 'edges'?")],
    ),
    "driver of another house": (
        SENSOR + '\n[[vibration]]\ndriver = "adxl999"\nname = "nde"\n',
        [
            (
                6,
                "vibration[1].driver",
                "'adxl999' is not a driver; one of sim, recording, lsm6dso, iis3dwb, adxl345",
            )
        ],
    ),
    "driver missing": ("\n[[vibration]]\nname = 'de'\n", [(2, "vibration[0].driver", 'add driver = "sim"')]),
    "driver of a wrong type": (
        "[[temperature]]\ndriver = 3\n",
        [(2, "temperature[0].driver", "3 is not a driver")],
    ),
    "name missing": ("\n\n[[vibration]]\ndriver = 'sim'\n", [(3, "vibration[0].name", "missing")]),
    "at_s missing": ("[[simulation.duty]]\nspeed = 1\n", [(1, "simulation.duty[0].at_s", "missing")]),
    "a quota too small for the sensors": (
        SENSOR + "rate_hz = 25600\n[evidence]\npost_s = 10\nmost_mb = 16\n",
        [
            (
                7,
                "evidence.most_mb",
                "16 MB, and an alarm of these sensors is about 4.1 MB; expected room for 4",
            )
        ],
    ),
    "port is text": ("[uplink]\nport = '1883'\n", [(2, "uplink.port", "is text; expected a whole number")]),
    "port is a float": ("[uplink]\nport = 1883.0\n", [(2, "uplink.port", "1883.0 is a number")]),
    "port is a switch": ("[uplink]\n\nport = true\n", [(3, "uplink.port", "true is true or false")]),
    "port is zero": ("[uplink]\nport = 0\n", [(2, "uplink.port", "from 1 to 65535")]),
    "port is too large": ("uplink.port = 65536\n", [(1, "uplink.port", "65536 is out of range")]),
    "host is empty": ("[uplink]\nhost = ''\n", [(2, "uplink.host", "text that is not empty")]),
    "host is a number": ("[uplink]\nhost = 10\n", [(2, "uplink.host", "write it in quotes")]),
    "enabled is text": ("[uplink]\nenabled = 'yes'\n", [(2, "uplink.enabled", "expected true or false")]),
    "a rate of text": (
        SENSOR + "rate_hz = '6400'\n",
        [(4, "vibration[0].rate_hz", "write it without quotes")],
    ),
    "a rate too low": (SENSOR + "rate_hz = 49.9\n", [(4, "vibration[0].rate_hz", "from 50 to 100000")]),
    "a rate that is no number": (
        SENSOR + "rate_hz = nan\n",
        [(4, "vibration[0].rate_hz", "nan is out of range")],
    ),
    "a drift without end": (
        SENSOR + "clock_ppm = inf\n",
        [(4, "vibration[0].clock_ppm", "inf is out of range")],
    ),
    "a seed beyond 64 bits": (f"simulation.seed = {2**63}\n", [(1, "simulation.seed", "out of range")]),
    "a date for a path": ("state_dir = 1979-05-27\n", [(1, "state_dir", "1979-05-27 is a date or time")]),
    "an empty path": ("run_dir = ''\n", [(1, "run_dir", "is not allowed; expected a path")]),
    "NUL in a path": ('run_dir = "a\\u0000b"\n', [(1, "run_dir", "is not allowed")]),
    "a share of one": ("[analysis]\noverlap = 1\n", [(2, "analysis.overlap", "from 0 and below 1")]),
    "a site with spaces": ("[machine]\nsite = 'My Plant'\n", [(2, "machine.site", "a to z, 0 to 9 and '-'")]),
    "a site with a line end": (
        '[machine]\nsite = """a\n"""\narea = "A"\n',
        [(2, "machine.site", ""), (4, "machine.area", "")],
    ),
    "a word not in the list": ("on_stop = 'halt'\n", [(1, "on_stop", "one of hold, trip")]),
    "a word nearly in the list": ("on_stop = 'tripp'\n", [(1, "on_stop", "did you mean 'trip'?")]),
    "a word that is a number": (
        "limits.not_ok = 1\n",
        [(1, "limits.not_ok", "expected one of alert, danger, ignore")],
    ),
    "a fault nobody can simulate": (
        "[[simulation.faults]]\nkind = 'ball'\n[[simulation.faults]]\nkind = 'rust'\n",
        [(4, "simulation.faults[1].kind", "'rust'")],
    ),
    "a fault in an array over lines": (
        "[simulation]\nfaults = [\n  { kind = 'ball' },\n  # note\n  { kind = 'ball', severity = 2 },\n]\n",
        [(5, "simulation.faults[1].severity", "from 0 to 1")],
    ),
    "a table that is a value": (
        "x = 1\nuplink = 'localhost'\n",
        [(1, "x", "unknown"), (2, "uplink", "expected a table")],
    ),
    "an array that is a table": ("[vibration]\nname = 'de'\n", [(1, "vibration", "write [[vibration]]")]),
    "an item that is no table": ("temperature = [\n 1]\n", [(2, "temperature[0]", "1 is a whole number")]),
    "no vibration sensor": ("\nvibration = []\n", [(2, "vibration", "0 entries; expected at least 1")]),
    "name used twice": (SENSOR + SENSOR, [(6, "vibration[1].name", "already the name of vibration[0]")]),
    "name used by a thermometer": (
        SENSOR + THERMOMETER + "\n[[temperature]]\nname = 'de'\ndriver = 'sim'\n",
        [(9, "temperature[1].name", "already the name of vibration[0]")],
    ),
    "alert over danger": (
        "[limits.rms_mps2]\ndanger = 10\nalert = 12\n",
        [(3, "limits.rms_mps2.alert", "12 is not below danger 10")],
    ),
    "alert at danger": (
        "limits.temperature_degc = { alert = 80, danger = 80 }\n",
        [(1, "limits.temperature_degc.alert", "alert < danger")],
    ),
    "a negative limit": ("[limits.peak_mps2]\nalert = -1\n", [(2, "limits.peak_mps2.alert", "above 0")]),
    "a limit out of reach": (
        "[limits.peak_mps2]\ndanger = 157\n",
        [(2, "limits.peak_mps2.danger", "beyond the range of every sensor (156.9 m/s²)")],
    ),
    "a default limit out of reach": (
        SENSOR + "range_g = 12\n",
        [(4, "limits.peak_mps2.danger", "120 is beyond the range of every sensor (117.7 m/s²)")],
    ),
    "a fault full before it starts": (
        "[[simulation.faults]]\nkind = 'gear'\nfull_s = 5\nstart_s = 9\n",
        [(3, "simulation.faults[0].full_s", "5 is before start_s 9")],
    ),
    "steps out of order": (
        "[simulation]\nduty = [{ at_s = 5 },\n{ at_s = 4 },\n{ at_s = 4 }]\n",
        [(3, "simulation.duty[1].at_s", "4 is not after"), (4, "simulation.duty[2].at_s", "rising times")],
    ),
    "a trouble that ends first": (
        SENSOR + "[[vibration.troubles]]\nkind = 'stuck'\nstart_s = 3\nend_s = 3\n",
        [(7, "vibration[0].troubles[0].end_s", "3 is not after start_s 3")],
    ),
    "a trouble of a thermometer": (
        THERMOMETER + "troubles = [{ kind = 'lost', start_s = 9, end_s = 8 }]\n",
        [(4, "temperature[0].troubles[0].end_s", "8 is not after")],
    ),
    "backoff that shrinks": (
        "[uplink]\nbackoff_s = 61\n",
        [(2, "uplink.backoff_max_s", "60 is below backoff_s 61")],
    ),
    "a password without a user": (
        "[uplink]\npassword_file = 'password'\n",
        [(2, "uplink.password_file", "without username"), (2, "uplink.password_file", "cannot be read")],
    ),
    "a certificate without its key": (
        "[uplink.tls]\ncert_file = 'device.pem'\n",
        [(2, "uplink.tls.cert_file", "given alone; expected cert_file and key_file")],
    ),
    "a recording that is not there": (
        "[[vibration]]\ndriver = 'recording'\nname = 'de'\npath = 'a.wav'\n",
        [(4, "vibration[0].path", "a.wav' is no file")],
    ),
    "a window without samples": (
        SENSOR + "rate_hz = 100\n\n[analysis]\nwindow_s = 0.15\n",
        [(7, "analysis.window_s", "a window of 15 samples; expected at least 16; choose 0.16 or more")],
    ),
    "a block without a sample": (
        SENSOR + "block_s = 0.01\nrate_hz = 50\n",
        [(4, "vibration[0].block_s", "holds no sample")],
    ),
    "a state that a restart empties": (
        "state_dir = 'run/state'\nrun_dir = 'run'\n",
        [(1, "state_dir", "is in run_dir")],
    ),
    "no value": ("[uplink]\nport =\n", [(2, "", "Invalid value")]),
    "a key twice": ("on_stop = 'trip'\non_stop = 'hold'\n", [(2, "", "Cannot overwrite a value")]),
    "a table twice": ("[uplink]\n[uplink]\n", [(2, "", "Cannot declare")]),
    "a string without end": ('[uplink]\nhost = "x\nport = 1\n', [(2, "", "Illegal character")]),
    "a literal without end": ("[uplink]\nhost = 'x\nport = 1\n", [(3, "", "left open above")]),
    "an array without end": ("vibration = [\n\n", [(1, "", "expected TOML")]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str, tmp_path: Path) -> None:
    document, expected = BROKEN[name]
    found = faults(written(tmp_path, document))
    assert [fault[:2] for fault in found] == [fault[:2] for fault in expected]
    for (_, _, message), (_, _, words) in zip(found, expected, strict=True):
        assert words in message


def test_all_faults_at_once_in_file_order(tmp_path: Path) -> None:
    text = (
        "on_stop = 1\n[uplink]\nport = 0\nhots = 'x'\n"
        + SENSOR
        + "axes = 9\n"
        + SENSOR
        + "[limits]\nrms = 3\n"
    )
    text += "peak_mps2 = { alert = 9, danger = 3 }\n[machine]\nsite = '?'\n"
    assert [(line, key) for line, key, _ in faults(written(tmp_path, text))] == [
        (1, "on_stop"),
        (3, "uplink.port"),
        (4, "uplink.hots"),
        (8, "vibration[0].axes"),
        (11, "vibration[1].name"),
        (13, "limits.rms"),
        (14, "limits.peak_mps2.alert"),
        (16, "machine.site"),
    ]


def test_a_fault_hides_what_would_follow_from_its_default(tmp_path: Path) -> None:
    text = "[uplink]\nbackoff_s = 'x'\nbackoff_max_s = 0.5\n"
    text += "[[vibration]]\ndriver = 'sim'\nname = 7\nrange_g = 'x'\n"
    text += "[[vibration]]\ndriver = 'none'\nname = 'de'\n[limits]\npeak_mps2.danger = 9999\n"
    assert [fault[:2] for fault in faults(written(tmp_path, text))] == [
        (2, "uplink.backoff_s"),
        (6, "vibration[0].name"),
        (7, "vibration[0].range_g"),
        (9, "vibration[1].driver"),
    ]


def test_a_file_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "appliance.toml"
    path.write_bytes(b"\xef\xbb\xbf[uplink]\r\n\r\nport = 0\r\n")
    assert [fault[:2] for fault in faults(path)] == [(3, "uplink.port")]


@pytest.mark.parametrize(
    ("data", "where", "words"),
    [
        (b"[uplink]\nhost = '\xff'\n", ":2", "not UTF-8"),
        (b"#" * (2 << 20), "", "more than 1048576 bytes"),
        (b"a = " + b"[" * 5000, ":1", "nested too deeply"),
        (b"uplink.port = " + b"9" * 5000, ":1", ""),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, data: bytes, where: str, words: str) -> None:
    path = tmp_path / "appliance.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path}{where}: ")
    assert words in str(raised.value)


def test_whatever_a_slip_of_the_hand_makes_of_it(tmp_path: Path) -> None:
    """A damaged file is a Config or a list of faults, never another exception."""
    path = tmp_path / "appliance.toml"
    good = f'state_dir = "x"\n{SENSOR}troubles = [{{ kind = "stuck" }},\n]\n[limits.rms_mps2]\nalert = 1.5\n'
    random = Random(7)
    refused = 0
    for _ in range(1000):
        data = bytearray(good.encode())
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(data))
            data[at : at + random.randrange(4)] = random.choices(
                b"[]{}=\"'\\\n#.,0aZ\xff \t\r", k=random.randrange(3)
            )
        path.write_bytes(data)
        try:
            load(path)
        except ConfigError:
            refused += 1
    assert 500 < refused < 1000


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: cannot be read"):
            load(path)


def test_password_file_that_everybody_may_read(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o644)
    path = written(tmp_path, "[uplink]\nusername = 'a'\npassword_file = 'password'\n")
    [(line, key, message)] = faults(path)
    assert (line, key) == (3, "uplink.password_file")
    assert "open to every user" in message
    (tmp_path / "password").chmod(0o640)
    assert load(path).uplink.password_file == tmp_path / "password"
    (tmp_path / "password").unlink()
    (tmp_path / "password").mkdir()
    assert "is no file" in faults(path)[0][2]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_password_file_that_we_may_not_read(tmp_path: Path) -> None:
    (tmp_path / "password").touch(mode=0)
    [fault] = faults(written(tmp_path, "[uplink]\nusername = 'a'\npassword_file = 'password'\n"))
    assert "may not be read by this user" in fault[2]
