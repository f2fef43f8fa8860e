"""Transmitters of a configuration on real ptys: opened from TOML, on one line, and a guard that reads one."""

import re
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from appliance_processes import Folder, end, eventually, heard

from appliance.check import load
from appliance.config import Config
from appliance.desk import sensing
from appliance.guard.modbus_lines import ModbusLines
from appliance.guard.sensors import World
from appliance.records import GuardState, QuantityReading
from hw.ports import PortError, Quantities, Scalars
from hw.qm30vt2 import QM30VT2
from hw.sim.clock import SimClock
from hw.sim.modbus_slave import Fate, ModbusSlave
from hw.sim.rotor import Machine
from hw.sim.transmitter import MachineRegisters

pytest.importorskip("serial", reason="pyserial is not installed (pip install pyserial)")

OWN_MAP = """part = "flow meter"
function = 4
[[registers]]
name = "flow"
address = 10
unit = "l/s"
scale = 0.5
"""


def transmitter(name: str, port: Path | str, **keys: object) -> str:
    """Its table; keys are TOML."""
    keys = {"name": f'"{name}"', "port": f'"{port}"', "map": '"qm30vt2"'} | keys
    return "[[transmitter]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


def config_of(folder: Path, text: str) -> Config:
    path = folder / "appliance.toml"
    path.write_text(f'state_dir = "state"\nrun_dir = "run"\nuplink.enabled = false\n{text}')
    return load(path)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[str], tuple[Config, list[Scalars]]]]:
    lines: list[ModbusLines] = []

    def one(text: str) -> tuple[Config, list[Scalars]]:
        config = config_of(tmp_path, text)
        lines.append(ModbusLines(World(config.simulation), config.run_dir))
        return config, [lines[-1].open(spec) for spec in config.transmitter]

    yield one
    for line in lines:
        line.close()


def answer(port: Scalars) -> Quantities:
    end_s = time.monotonic() + 3.0
    while time.monotonic() < end_s:
        if (found := port.read()) is not None:
            return found
    raise AssertionError("no answer within 3 s")


def test_one_on_the_simulated_machine(opened, tmp_path):
    _, [port] = opened(transmitter("pump", "sim", map='"wtvb01"', slave=80))
    found = answer(port)
    assert found.by_name.keys() == port.units.keys()
    assert found.by_name["temperature"].value == pytest.approx(48.35, abs=0.5)
    assert 0.3 < found.by_name["z-velocity"].value < 3.0
    assert (tmp_path / "run" / "pump.tty").is_symlink()


def test_a_simulated_one_lives_until_its_line_is_closed(tmp_path):
    config = config_of(tmp_path, transmitter("pump", "sim"))
    lines = ModbusLines(World(config.simulation), config.run_dir)
    port = lines.open(config.transmitter[0])
    answer(port)
    lines.close()
    assert not (tmp_path / "run" / "pump.tty").exists()
    with pytest.raises(PortError, match="No such file"):
        answer(port)


def test_a_map_of_ones_own(opened, tmp_path):
    (tmp_path / "flow.toml").write_text(OWN_MAP)
    slave = ModbusSlave(tmp_path / "usb-485", 9, lambda first, count: [first] * count)
    try:
        _, [port] = opened(transmitter("meter", slave.link, map='"flow.toml"', slave=9))
        assert {name: one.value for name, one in answer(port).by_name.items()} == {"flow": 5.0}
    finally:
        slave.unplug()


def test_the_line_is_set_as_configured(opened, tmp_path):
    slave = ModbusSlave(tmp_path / "usb-485", 1, lambda _, count: [0] * count)
    try:
        keys = {"baud": 9600, "parity": '"odd"', "stop_bits": 2}
        _, [port] = opened(transmitter("pump", slave.link, **keys))
        answer(port)
        _, _, control, _, speed, _, _ = termios.tcgetattr(slave._kept)
        assert speed == termios.B9600
        assert control & termios.PARODD  # a pty forgets PARENB
        assert control & termios.CSTOPB
    finally:
        slave.unplug()


class TwoSlaves(ModbusSlave):
    """Addresses 1 and 7 on one line; each says its own address in every register."""

    def __init__(self, link: Path) -> None:
        super().__init__(link, 1, lambda _, count: [self._slave] * count)

    def _heard(self, question: bytes) -> None:
        self._slave = question[0] if question[0] in {1, 7} else 0
        super()._heard(question)


def test_two_on_one_line_take_turns(opened, tmp_path):
    """Each in a thread of its own, as in the guard; a second master could not open the line."""
    slaves = TwoSlaves(tmp_path / "usb-485")
    answers: dict[int, list[float]] = {1: [], 7: []}

    def ask(address: int, port: Scalars) -> None:
        for _ in range(5):
            answers[address].append(answer(port).by_name["z-velocity-rms"].value)

    try:
        _, ports = opened(
            transmitter("a", slaves.link, slave=1, period_s=0.1)
            + transmitter("b", slaves.link, slave=7, period_s=0.1)
        )
        threads = [threading.Thread(target=ask, args=pair) for pair in zip((1, 7), ports, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        slaves.unplug()
    assert answers == {1: [0.001] * 5, 7: [0.007] * 5}


# A guard that reads one


class Watched:
    """A real guard that reads a slave of this process, and what it says of it."""

    def __init__(self, folder: Path) -> None:
        self.slave = ModbusSlave(folder / "usb-485", 1, MachineRegisters(Machine(), SimClock(), QM30VT2))
        self.here = Folder(folder)
        text = 'state_dir = "state"\nrun_dir = "run"\nuplink.enabled = false\n'
        text += 'relay = { driver = "sim", edges = "relay.jsonl" }\ntemperature = []\n'
        text += '[[vibration]]\ndriver = "sim"\nname = "de"\nrate_hz = 1000\n'
        limits = "{ z-velocity-rms = { danger = 7.1, delay_s = 0.5 }, temperature = { alert = 80 } }"
        text += transmitter("pump", self.slave.link, period_s=0.1, timeout_s=0.05, limits=limits)
        self.here.config.write_text(text)
        self.guard = self.here.start("guard")
        self.link = self.here.connect()
        self.state: GuardState | None = None

    def comes_to(self, reason: str) -> GuardState:
        """The state in which every channel of the transmitter says so; "" is OK."""

        def said() -> bool:
            for message in heard(self.link, 0.1):
                if isinstance(message, GuardState):
                    self.state = message
            mine = [c for c in self.state.channels if c.channel.startswith("pump.")] if self.state else []
            return bool(mine) and all(c.ok is (reason == "") and reason in c.reason for c in mine)

        eventually(said, 6.0, f"a transmitter that says {reason!r}")
        assert self.state is not None
        return self.state

    def selftest(self, state: GuardState) -> str:
        """What a selftest beside the guard makes of it."""
        findings = {one.what: one.verdict for one in sensing.told(load(self.here.config), state)}
        return findings["transmitter pump"]

    def reading(self, quantity: str) -> QuantityReading:
        assert self.state is not None
        return next(one for one in self.state.quantities if one.quantity == quantity)

    def close(self) -> None:
        self.link.close()
        self.here.close()
        self.slave.unplug()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    found = Watched(tmp_path)
    yield found
    found.close()


FAULTS: dict[Fate, str] = {"crc": "CRC", "silence": "no answer", "exception": "exception 6 (device busy)"}


def test_every_fault_is_not_ok_with_its_reason_and_recovers(watched):
    watched.comes_to("")
    for fate, reason in FAULTS.items():
        watched.slave.fates.extend([fate] * 10_000)
        watched.comes_to(reason)
        assert watched.reading("x-crest").value is None
        watched.slave.fates.clear()
        watched.comes_to("")
        assert watched.reading("x-crest").value > 1.0
    watched.slave.unplug()
    assert watched.selftest(watched.comes_to("expected")) == "FAIL"
    watched.slave.plug_in()
    state = watched.comes_to("")
    assert state.relay_energised
    assert watched.selftest(state) == "ok"
    assert len(state.quantities) == len(QM30VT2.units)
    page = watched.here.ask("status").stdout
    assert "channel  pump.z-velocity-rms: 0." in page
    assert re.search(r"quantity pump\.x-crest: [2-9]\.\d+\n", page), page
    assert "Traceback" not in watched.here.log("guard")


def test_a_silent_transmitter_does_not_hold_the_end_up(watched):
    watched.comes_to("")
    watched.slave.fates.extend(["silence"] * 10_000)
    watched.comes_to("no answer")
    status, seconds = end(watched.guard)
    assert status == 0
    assert seconds < 3.0


def test_too_high_a_velocity_drops_the_relay(watched):
    watched.comes_to("")
    eventually(watched.here.energised, what="an energised relay")
    watched.slave._words = lambda first, count: [9000 if first + n == 5201 else 20 for n in range(count)]
    eventually(lambda: not watched.here.energised(), what="a trip")
