"""What the guard makes of its relay's read-back."""

import pytest

from appliance.guard.actuator import RELAY_SETTLES_S, Actuator
from hw.ports import PortError
from hw.sim.relay import SimRelay


class LooseRelay(SimRelay):
    """Its read-back wire may be off."""

    off = False

    def read(self) -> bool:
        if self.off:
            raise PortError("no answer")
        return super().read()


class Driven:
    """An energised relay whose contact has settled, at a time of its own."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.relay = LooseRelay()
        self.told: list[str] = []
        self.actuator = Actuator(self.relay, self.told.append, lambda: self.now_s)
        self.drive(energise=True)

    def drive(self, *, energise: bool) -> None:
        self.actuator.drive(energise=energise)
        self.later(RELAY_SETTLES_S)

    def later(self, seconds: float, *, off: bool = False) -> str:
        self.now_s += seconds
        self.relay.off = off
        self.actuator.check()
        return self.actuator.fault


@pytest.fixture
def driven() -> Driven:
    return Driven()


def test_what_agrees_is_no_fault(driven):
    assert (driven.later(1.0), driven.told) == ("", [])


def test_nothing_is_looked_at_while_the_contact_moves(driven):
    driven.actuator.drive(energise=False)
    assert driven.later(RELAY_SETTLES_S / 2, off=True) == ""


def test_a_contact_that_fails_later_is_seen(driven):
    assert driven.later(3600.0, off=True) == "relay read-back failed: no answer"
    assert driven.told == ["relay read-back failed: no answer"]


def test_a_loose_wire_is_one_fault_until_it_has_agreed_for_a_minute(driven):
    for _ in range(5):
        assert driven.later(0.1, off=True)
        assert driven.later(59.0)
    assert driven.later(1.0) == ""
    assert len(driven.told) == 1
    assert driven.later(1.0, off=True)
    assert len(driven.told) == 2


def test_each_change_of_the_relay_is_judged_anew(driven):
    driven.later(0.1, off=True)
    driven.drive(energise=False)
    assert driven.actuator.fault == ""
    driven.relay.write(energised=True)
    assert driven.later(0.1) == "relay reads energised, expected de-energised; check its wiring"
    driven.drive(energise=True)
    driven.drive(energise=False)
    driven.relay.write(energised=True)
    driven.later(0.1)
    assert len(driven.told) == 3
