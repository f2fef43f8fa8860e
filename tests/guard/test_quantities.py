"""What the trip path makes of a transmitter: limits of its quantities, and a transmitter that is lost."""

import time
from pathlib import Path

import msgspec
import pytest
from mounted import BEGIN_NS, Guarded

from appliance.clock import WallClock
from appliance.config import Limit, Transmitter
from appliance.guard.protection import Protection
from appliance.records import Level, Validity
from appliance.requests import Reset
from hw.ports import Quantities, Quantity
from hw.qm30vt2 import QM30VT2

LIMITS = {
    "z-velocity-rms": Limit(alert=4.5, danger=7.1, delay_s=2.0),
    "temperature": Limit(alert=80.0, delay_s=2.0),
    "z-peak": Limit(alert=50.0),
}


class Mounted(Guarded):
    """One protection of one transmitter `pump`, and an accelerometer that runs quietly."""

    def __init__(self, limits: dict[str, Limit] = LIMITS, **more: object) -> None:
        super().__init__(temperatures=0, **more)
        spec = Transmitter(name="pump", port="sim", map=Path("qm30vt2"), limits=limits)
        self.config = msgspec.structs.replace(self.config, transmitter=(spec,))
        ports = {"de": self.protection._watches["de"]._sensor}
        self.protection = Protection(self.config, ports, self.relay, WallClock(live=False), self._tell)

    def answers(self, seconds: int, **values: float) -> None:
        """Quiet blocks and an answer a second; values by quantity, with _ for -."""
        for _ in range(seconds):
            self.run(1, degc=None)
            shown = {register.name: 1.0 for register in QM30VT2.registers}
            shown |= {name.replace("_", "-"): value for name, value in values.items()}
            by_name = {name: Quantity(value, QM30VT2.units[name]) for name, value in shown.items()}
            self.protection.quantities("pump", Quantities(by_name, self.t_ns), time.perf_counter_ns())

    def fault(self) -> None:
        self.protection.fault("pump", "no answer", time.perf_counter_ns())

    def reading(self, quantity: str):
        return next(r for r in self.protection.state().quantities if r.quantity == quantity)


def test_channels_are_the_quantities_that_have_limits():
    shown = {c.channel: c.unit for c in Mounted().protection.state().channels if c.channel.startswith("pump")}
    assert shown == {"pump.z-velocity-rms": "mm/s", "pump.temperature": "degC", "pump.z-peak": "m/s2"}


def test_every_quantity_is_shown_from_the_start():
    mounted = Mounted()
    shown = mounted.protection.state().quantities
    assert [(r.sensor, r.quantity) for r in shown] == [("pump", name) for name in QM30VT2.units]
    assert {(r.value, r.validity) for r in shown} == {(None, Validity.LOST)}
    mounted.answers(1, x_kurtosis=3.1)
    one = mounted.reading("x-kurtosis")
    assert (one.value, one.unit, one.at_mono_ns, one.validity) == (3.1, "1", mounted.t_ns, Validity.OK)
    assert mounted.t_ns > BEGIN_NS


def test_a_quantity_alerts_and_trips_after_its_delay():
    mounted = Mounted()
    mounted.answers(2)
    assert mounted.energised
    mounted.answers(4, z_velocity_rms=5.0)
    assert mounted.protection.state().level is Level.ALERT
    assert mounted.energised
    mounted.answers(4, z_velocity_rms=9.0)
    assert not mounted.energised
    trip = mounted.events("trip.fired")[0]
    assert (trip.channel, trip.value, trip.limit, trip.unit) == ("pump.z-velocity-rms", 9.0, 7.1, "mm/s")


def test_its_temperature_is_a_quantity_with_a_limit():
    mounted = Mounted()
    mounted.answers(1)
    mounted.answers(4, temperature=85.0)
    [event] = mounted.events("alarm.raised")
    assert event.channel == "pump.temperature"
    assert "85 over 80 °C" in event.message


def test_a_quantity_without_a_limit_judges_nothing():
    mounted = Mounted()
    mounted.answers(5, x_velocity_rms=65.0)
    assert mounted.protection.state().level is Level.NORMAL


def test_the_relay_waits_for_the_first_answer():
    mounted = Mounted()
    mounted.run(3, degc=None)
    assert not mounted.energised
    mounted.answers(1)
    assert mounted.energised


@pytest.mark.parametrize(("policy", "level"), [("alert", 1), ("danger", 2), ("ignore", 0)])
def test_a_lost_transmitter_counts_as_the_policy_says_and_recovers(policy, level):
    mounted = Mounted(not_ok=policy, not_ok_delay_s=0.0)
    mounted.answers(2)
    mounted.fault()
    channels = [c for c in mounted.protection.state().channels if c.channel.startswith("pump.")]
    assert {(c.ok, c.reason, c.value) for c in channels} == {(False, "no answer", None)}
    assert mounted.protection.state().level == level
    assert mounted.energised is (level < 2)
    assert (mounted.reading("x-crest").value, mounted.reading("x-crest").validity) == (None, Validity.LOST)
    mounted.answers(1)
    assert mounted.channel("pump.z-peak").ok
    assert mounted.reading("x-crest").validity is Validity.OK
    assert mounted.protection.ask(Reset("anna", "it is back")).ok
    assert mounted.protection.state().level is Level.NORMAL


def test_silence_is_noticed():
    mounted = Mounted(not_ok_delay_s=0.0)
    mounted.answers(2)
    mounted.protection._silence._heard_s["pump"] -= 5.0
    mounted.protection.watch()
    assert mounted.channel("pump.temperature").reason == "no data for 5 s"
    assert mounted.channel("de.peak").ok


def test_no_limits_no_channels_and_still_shown():
    mounted = Mounted({})
    mounted.answers(1)
    mounted.fault()
    assert [c.channel for c in mounted.protection.state().channels if c.channel.startswith("pump")] == []
    assert mounted.reading("temperature").validity is Validity.LOST
