"""The relay of a configuration: the backend that is named, on a pin that is fit, or a fault in words."""

import logging
from pathlib import Path

import msgspec
import pytest

from appliance.errors import ApplianceError, ConfigError
from appliance.guard.output import open_relay
from appliance.pins import AnyRelay, GpioRelay, RpiGpioRelay, SimRelay


@pytest.fixture
def pi4(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.write_text("Raspberry Pi 4 Model B Rev 1.4\0")
    return model


def test_every_backend_has_its_name_in_the_file():
    def relay(**keys: object) -> AnyRelay:
        return msgspec.convert(keys, AnyRelay)

    assert relay(driver="sim") == SimRelay()
    assert relay(driver="gpio", chip="pinctrl-rp1", line=17) == GpioRelay("pinctrl-rp1", 17)
    assert relay(driver="rpi_gpio", pin=17) == RpiGpioRelay(17)
    with pytest.raises(msgspec.ValidationError):
        relay(driver="gpio", chip="pinctrl-rp1", line=5, external_pull="yes")


def test_the_simulated_relay(tmp_path):
    open_relay(SimRelay(tmp_path / "edges")).write(True)
    assert (tmp_path / "edges").exists()
    with pytest.raises(ApplianceError, match=r"^relay: .*correct the path"):
        open_relay(SimRelay(tmp_path))


@pytest.mark.parametrize("spec", [GpioRelay("pinctrl-bcm2711", 3), RpiGpioRelay(3)])
def test_an_unfit_pin_is_a_fault_of_the_configuration(pi4, spec):
    with pytest.raises(ConfigError, match=r"relay: Raspberry Pi 4: .*use one of"):
        open_relay(spec, pi4)


@pytest.mark.parametrize("beside", ["read_back", "health"])
@pytest.mark.parametrize(
    "make", [lambda **keys: GpioRelay("pinctrl-bcm2711", 17, **keys), lambda **keys: RpiGpioRelay(17, **keys)]
)
def test_a_line_beside_the_relays_has_no_other_duty_either(pi4, make, beside):
    """As an output the I2C clock would silence every sensor on that bus."""
    with pytest.raises(ConfigError, match=r"pinctrl-bcm2711 line 3: I2C clock, .*use one of"):
        open_relay(make(**{beside: 3}), pi4)
    with pytest.raises(ApplianceError) as caught:
        open_relay(make(**{beside: 5}), pi4)
    assert not isinstance(caught.value, ConfigError), "a pull-up is no fault there"


def test_a_pin_pulled_up_needs_the_owners_word(pi4):
    with pytest.raises(ConfigError, match="external pull-down fitted"):
        open_relay(GpioRelay("pinctrl-bcm2711", 5), pi4)
    with pytest.raises(ApplianceError, match="'pinctrl-bcm2711' is not on this machine") as caught:
        open_relay(GpioRelay("pinctrl-bcm2711", 5, external_pull="external pull-down fitted"), pi4)
    assert not isinstance(caught.value, ConfigError)


def test_on_an_unknown_board_the_pin_is_the_owners_business(tmp_path):
    with pytest.raises(ApplianceError, match="is not on this machine"):
        open_relay(GpioRelay("no-such-chip", 3), tmp_path / "none")


def test_a_backend_that_cannot_be_had_is_not_replaced(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ApplianceError, match="set the relay's driver to gpio"):
        open_relay(RpiGpioRelay(17), tmp_path / "none")
