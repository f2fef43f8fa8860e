"""Models that the plant offers: candidates where all is as it should be, else refused with the reason."""

import select
import time
from pathlib import Path

import pytest
import simulated
from simulated import Learnt

from appliance import check, wire
from appliance.analysis import bundle as bundles
from appliance.analysis import delta, intake, ledger, provenance, signature, slots
from appliance.analysis.bundle import Bundle
from appliance.records import Hello, ModelAct
from appliance.requests import Offer

CONFIG = """state_dir = "state"
run_dir = "run"
temperature = []
[[vibration]]
driver = "sim"
name = "de"
rate_hz = 2000
axes = 2
[uplink]
enabled = false
[models]
trusted = ["{trusted}"]
"""


class Vendor:
    """Signs the pump's bundle, and knows an appliance that trusts it."""

    def __init__(self, folder: Path, pump: Learnt) -> None:
        self._bundle = bundles.load(pump.bundle)
        self._key = signature.own_key(folder / "vendor.key")
        self.file = folder / "appliance.toml"
        self.file.write_text(CONFIG.format(trusted=signature.public_key(self._key)))
        self.config = check.load(self.file)
        self.place = self.config.bundle_dir("de")

    def signed(self, serial: int, **how: str) -> Bundle:
        return provenance.issue(self._bundle, self._key, serial=serial, **how)

    def offer(self, bundle: Bundle, parent: Bundle) -> Offer:
        return Offer("de", delta.make(bundle, parent), "mqtt:anna", "from 40 pumps")

    def held(self) -> tuple[str | None, ...]:
        return tuple(slots.target(self.place, slot) for slot in slots.SLOTS)


@pytest.fixture
def vendor(tmp_path: Path, pump: Learnt) -> Vendor:
    return Vendor(tmp_path, pump)


def test_a_signed_one_becomes_the_candidate_and_never_more(vendor: Vendor) -> None:
    one, two = vendor.signed(1), vendor.signed(2)
    assert intake.admit(one, vendor.config, "de") == "active"
    told = intake.offered(vendor.offer(two, one), vendor.config)
    assert told == ModelAct(
        "de", "model.installed", f"{two.id} is the candidate, in shadow", "info", "mqtt:anna", "from 40 pumps"
    )
    assert vendor.held() == (one.id, two.id, None)
    act = ledger.acts(vendor.place)[-1]
    assert (act.what, act.who, act.why) == ("installed as candidate", "mqtt:anna", "from 40 pumps")


def test_where_none_is_in_force_it_is_refused(vendor: Vendor) -> None:
    told = intake.offered(vendor.offer(vendor.signed(2), vendor.signed(1)), vendor.config)
    assert (told.event, told.severity) == ("model.refused", "warning")
    assert "no model in force" in told.message
    assert vendor.held() == (None, None, None)


def test_what_may_not_come_here_is_refused_with_the_reason(
    vendor: Vendor, tmp_path: Path, pump: Learnt
) -> None:
    one, two = vendor.signed(1), vendor.signed(2)
    intake.admit(one, vendor.config, "de")
    stranger = signature.own_key(tmp_path / "stranger.key")
    by_stranger = provenance.issue(two, stranger, serial=9)
    sound = delta.make(two, one)
    for data, words in (
        (b"rubbish", "delta: found a file that is none"),
        (sound[:-7], "delta: found"),
        (delta.make(by_stranger, one), "found the signer"),
        (delta.make(bundles.load(pump.bundle), one), "found no signature"),
        (delta.make(vendor.signed(3, machine="works/hall/fan/de"), one), "wrong machine"),
        (delta.make(vendor.signed(4, not_after="2020-01-01T00:00:00Z"), one), "expired"),
        (delta.make(vendor.signed(6), vendor.signed(5)), "made against"),
    ):
        told = intake.offered(Offer("de", data, "mqtt:anna", "why"), vendor.config)
        assert (told.event, words in told.message) == ("model.refused", True), told.message
    told = intake.offered(Offer("nde", sound, "mqtt:anna", "why"), vendor.config)
    assert "no vibration sensor 'nde'" in told.message
    assert vendor.held() == (one.id, None, None)


def test_analysis_takes_what_the_guard_passes_on_and_says_what_became_of_it(vendor: Vendor) -> None:
    one, two = vendor.signed(1), vendor.signed(2)
    intake.admit(one, vendor.config, "de")
    listener = wire.Listener(vendor.config.socket_path)
    analysis = simulated.start("analysis", vendor.file)
    try:
        assert select.select([listener], [], [], 20)[0]
        links = []
        while not any(isinstance(hello, Hello) and hello.role == "analysis" for _, hello in links):
            assert select.select([listener], [], [], 20)[0]
            link = listener.accept()
            assert select.select([link], [], [], 5)[0]
            links.append((link, link.receive()))
        link.send(vendor.offer(two, one))
        began_s, told = time.monotonic(), None
        while not isinstance(told, ModelAct):
            assert time.monotonic() - began_s < 10
            select.select([link], [], [], 0.1)
            told = link.receive()
        assert (told.event, vendor.held()) == ("model.installed", (one.id, two.id, None))
    finally:
        analysis.kill()
        analysis.wait()
        listener.close()
