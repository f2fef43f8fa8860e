"""Transmitters in a configuration: maps, shipped and of one's own, and limits checked against them."""

import subprocess
import sys
from pathlib import Path

import pytest
from config_files import faults, written

from appliance import register_maps
from appliance.check import describe, load
from appliance.config import Config, Limit
from appliance.errors import ConfigError
from hw.qm30vt2 import QM30VT2
from hw.register_map import Register, RegisterMap
from hw.wtvb01 import WTVB01_485

ROOT = Path(__file__).resolve().parents[1]
USB = "/dev/serial/by-id/usb-485"
OWN_MAP = """part = "flow meter"
function = 4
block = [8, 6]
[[registers]]
name = "flow"
address = 10
unit = "l/s"
kind = "float32"
word_order = "little"
[[registers]]
name = "oil"
address = 12
unit = "°C"
scale = 0.1
offset = -40
low = -30
high = 120
"""


def transmitter(name: str = "pump", **keys: object) -> str:
    """Four lines, then a line a key; values are TOML."""
    keys = {"port": f'"{USB}"', "map": '"qm30vt2"'} | keys
    return f'[[transmitter]]\nname = "{name}"\n' + "".join(
        f"{key} = {value}\n" for key, value in keys.items()
    )


def test_a_map_is_found_by_its_name_or_read_from_its_file(tmp_path):
    assert register_maps.load(Path("qm30vt2")) is QM30VT2
    assert register_maps.load(tmp_path / "wtvb01") is WTVB01_485
    (tmp_path / "own.toml").write_text(OWN_MAP, encoding="utf-8")
    flow = Register("flow", 10, "l/s", kind="float32", word_order="little")
    oil = Register("oil", 12, "°C", 0.1, -40.0, low=-30.0, high=120.0)
    assert register_maps.load(tmp_path / "own.toml") == RegisterMap("flow meter", (flow, oil), 4, (8, 6))


def test_a_configuration_with_transmitters(tmp_path):
    (tmp_path / "own.toml").write_text(OWN_MAP, encoding="utf-8")
    text = transmitter(**{"limits.z-velocity-rms": "{ alert = 4.5, danger = 7.1 }"})
    text += transmitter("meter", map='"own.toml"', slave=9) + "[transmitter.limits]\noil = { alert = 90 }\n"
    config = load(written(tmp_path, text))
    assert [one.slave for one in config.transmitter] == [1, 9]
    assert config.transmitter[0].limits == {"z-velocity-rms": Limit(alert=4.5, danger=7.1)}
    assert config.transmitter[1].limits == {"oil": Limit(alert=90.0)}
    assert config.transmitter[1].map == tmp_path / "own.toml"
    words = describe(tmp_path / "appliance.toml")
    assert f"transmitter: meter (own.toml, slave 9 on {USB}, every 1 s)" in words
    assert "channel pump.z-velocity-rms: Alert 4.5 mm/s (file), Danger 7.1 mm/s (file) after 3 s" in words
    assert Config().transmitter == ()


# change of the file: [(line, key, words)]
MAP_FAULTS: dict[tuple[str, str], list[str]] = {
    ('part = "flow meter"\n', ""): [":1: part: missing; expected text"],
    ("function = 4", "function = 6"): [":2: function: 6 is not one of them; expected one of 3, 4"],
    ("[8, 6]", "[8]"): [":3: block: 1 entries is an array; expected an array of 2 values"],
    ("[8, 6]", '[8, "6"]'): [":3: block[1]: '6' is text; expected a whole number"],
    ("[8, 6]", "[11, 6]"): [":1: map 'flow meter': registers 10 to 12, expected them inside its block"],
    ('"flow"', '"Flow rate"'): [":4: registers[0]: register 'Flow rate': expected a name of a to z"],
    ("[8, 6]", "[-1, 16]"): [":1: map 'flow meter': -1 to 14, expected addresses from 0 to 65535"],
    ("low = -30", "low = 120"): [":10: registers[1]: register 'oil': low 120, high 120; expected"],
    ('"oil"', '"flow"'): [":1: map 'flow meter': flow twice, expected each name once"],
    ("float32", "float64"): [":8: registers[0].kind: 'float64' is not one of them"],
    ("scale = 0.1", "scale = 0"): [":10: registers[1]: register 'oil': scale 0.0, offset -40.0"],
    ("address = 12", "adres = 1"): [":12: registers[1].adres: unknown key", "registers[1].address: missing"],
}  # fmt: skip


@pytest.mark.parametrize("change", MAP_FAULTS)
def test_every_fault_of_a_map_has_its_file_and_line(change, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(OWN_MAP.replace(*change), encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        register_maps.load(own)
    told = str(raised.value).split("\n")
    assert len(told) == len(MAP_FAULTS[change])
    for line in MAP_FAULTS[change]:
        assert any(one.startswith(str(own)) and line in one for one in told), told
    found = faults(written(tmp_path, transmitter(map='"own.toml"')))
    assert sorted(found) == sorted((4, "transmitter[0].map", one) for one in told)


DIGITIZER = f"""[[vibration]]
name = "de"
driver = "digitizer"
port = "{USB}"
rate_hz = 1000
scale_mps2 = 0.0048
"""
SAME_LINE = transmitter() + transmitter("fan", slave=2, baud=9600, parity='"odd"', timeout_s=0.5)
BROKEN: dict[str, tuple[str, list[tuple[int, str, str]]]] = {
    "no such map": (
        transmitter(map='"qm30vt"'),
        [(4, "transmitter[0].map", "expected one of qm30vt2, wtvb01, or a path that ends in .toml; did you")],
    ),
    "no such file": (transmitter(map='"a.toml"'), [(4, "transmitter[0].map", "cannot be read (No such")]),
    "no such quantity": (
        transmitter(**{"limits.z-velocity": "{ alert = 4.5 }"}),
        [(5, "transmitter[0].limits.z-velocity", "no quantity of qm30vt2; expected one of z-velocity-rms")],
    ),
    "a limit at fault": (
        transmitter(**{"limits.z-peak": "{ alert = 5, danger = 4 }", "limits.x-peak": "{ alert = true }"}),
        [
            (5, "transmitter[0].limits.z-peak.alert", "5 is not below danger 4"),
            (6, "transmitter[0].limits.x-peak.alert", "expected a number"),
        ],
    ),
    "limits that are no table": (
        transmitter(limits=3),
        [(5, "transmitter[0].limits", "expected a table of tables; write [transmitter[0].limits.NAME]")],
    ),
    "one line, different settings": (
        SAME_LINE,
        [
            (10, "transmitter[1].baud", "9600 differs from the 19200 of transmitter[0] on the same line"),
            (11, "transmitter[1].parity", "odd differs from the none of transmitter[0]"),
            (12, "transmitter[1].timeout_s", "0.5 differs from the 0.3 of transmitter[0]"),
        ],
    ),
    "one address twice": (
        transmitter() + transmitter("fan"),
        [(7, "transmitter[1].slave", f"slave 1 on {USB} is already transmitter[0]")],
    ),
    "a name twice": (
        transmitter("de") + '[[vibration]]\nname = "de"\ndriver = "sim"\n',
        [(2, "transmitter[0].name", "'de' is already the name of vibration[0]")],
    ),
    "beside a digitizer": (
        transmitter() + DIGITIZER,
        [(3, "transmitter[0].port", "is already the place of vibration[0]")],
    ),
    "in fast time": (
        "simulation.speed = 8\n" + transmitter(),
        [(1, "simulation.speed", f"8 beside 'pump' on {USB}, which lives in real time")],
    ),
    "a port that is none": (
        transmitter(port='"ttyUSB0"'),
        [(3, "transmitter[0].port", "expected a path from the root, or sim")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be(name, tmp_path):
    document, expected = BROKEN[name]
    found = faults(written(tmp_path, document))
    assert [fault[:2] for fault in found] == [fault[:2] for fault in expected], found
    for (_, _, message), (_, _, words) in zip(found, expected, strict=True):
        assert words in message


def test_the_page_shows_a_map_and_a_table_that_are_right(tmp_path):
    page = (ROOT / "docs" / "ADDING-A-SENSOR.md").read_text(encoding="utf-8")
    own_map, table = (block.split("```")[0] for block in page.split("```toml\n")[1:])
    (tmp_path / "flow-meter.toml").write_text(own_map, encoding="utf-8")
    [config] = load(written(tmp_path, table)).transmitter
    assert register_maps.load(config.map).units == {"flow": "l/s", "oil": "°C"}
    assert config.limits == {"oil": Limit(alert=80.0, danger=95.0)}


def test_simulated_ones_have_a_line_each_at_any_speed(tmp_path):
    text = "simulation.speed = 8\n" + transmitter(port='"sim"') + transmitter("fan", port='"sim"', baud=9600)
    assert len(load(written(tmp_path, text)).transmitter) == 2


def test_a_process_that_only_reads_the_configuration_loads_no_numpy(tmp_path):
    """The uplink checks maps as every process does, and must stay small."""
    path = written(tmp_path, transmitter())
    code = f"import sys, pathlib; from appliance.check import load; load(pathlib.Path({str(path)!r}))"
    code += "; print('hw.register_map' in sys.modules, 'numpy' in sys.modules, 'serial' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True False False\n"
