"""One line of the GPIO with two duties: found with its line and key; and what is not a fault."""

from pathlib import Path

import pytest
from config_files import faults, written

from appliance.check import describe, load
from appliance.pins import GpioContact, RpiGpioContact, SimContact

RELAY = '[relay]\ndriver = "gpio"\nchip = "pinctrl-bcm2711"\nline = 17\n'
RPI = '[relay]\ndriver = "rpi_gpio"\npin = 17\n'


def contact(name: str, line: int, chip: str = "pinctrl-bcm2711") -> str:
    return f'[inputs.{name}]\ndriver = "gpio"\nchip = "{chip}"\nline = {line}\n'


def rpi_contact(name: str, pin: int) -> str:
    return f'[inputs.{name}]\ndriver = "rpi_gpio"\npin = {pin}\n'


BROKEN = {
    "read-back on the relay's own line": (
        RELAY + "read_back = 17\n",
        [(5, "relay.read_back", "17 is already the line of relay.line; expected a line of its own; move")],
    ),
    "health on the read-back": (
        RPI + "read_back = 27\nhealth = 27\n",
        [(5, "relay.health", "27 is already the line of relay.read_back")],
    ),
    "a contact on the relay": (
        RELAY + contact("bypass_key", 17),
        [(8, "inputs.bypass_key.line", "17 is already the line of relay.line")],
    ),
    "two contacts on one line": (
        contact("reset", 5) + contact("running", 5),
        [(8, "inputs.running.line", "5 is already the line of inputs.reset.line")],
    ),
    "a pin by its number and the same line": (
        RELAY + rpi_contact("reset", 17),
        [(7, "inputs.reset.pin", "17 is already the line of relay.line")],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_line_used_twice(name: str, tmp_path: Path) -> None:
    document, expected = BROKEN[name]
    found = faults(written(tmp_path, document))
    assert [fault[:2] for fault in found] == [fault[:2] for fault in expected]
    for (_, _, message), (_, _, words) in zip(found, expected, strict=True):
        assert words in message


@pytest.mark.parametrize(
    "document",
    [
        RELAY + "read_back = 27\nhealth = 22\n" + contact("bypass_key", 5) + contact("reset", 6),
        RELAY + contact("startup", 17, "another-chip"),
        RPI + rpi_contact("running", 5),
    ],
)
def test_lines_of_their_own(document: str, tmp_path: Path) -> None:
    load(written(tmp_path, document))


def test_what_hangs_on_the_pins_is_read_as_written(tmp_path: Path) -> None:
    text = '[inputs]\nbypass_key = { driver = "sim", file = "key" }\n' + contact("startup", 5)
    text += rpi_contact("running", 6) + "active_low = false\n"
    inputs = load(written(tmp_path, text)).inputs
    assert inputs.wired == {
        "bypass_key": SimContact(tmp_path / "key"),
        "startup": GpioContact("pinctrl-bcm2711", 5, active_low=True),
        "running": RpiGpioContact(6, active_low=False),
    }
    words = "contacts: bypass_key (sim), startup (gpio), running (rpi_gpio)"
    assert words in describe(tmp_path / "appliance.toml").splitlines()
    assert load(written(tmp_path, "")).inputs.wired == {}
    assert "contacts: none" in describe(tmp_path / "appliance.toml").splitlines()


def test_a_contact_without_driver_or_by_another_name_is_a_fault(tmp_path: Path) -> None:
    found = faults(written(tmp_path, '[inputs.key]\nfile = "key"\n[inputs.reset]\nfile = "reset"\n'))
    assert [fault[:2] for fault in found] == [(1, "inputs.key"), (3, "inputs.reset.driver")]
    assert "bypass_key" in found[0][2]
