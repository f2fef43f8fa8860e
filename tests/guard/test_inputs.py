"""Contacts: opened on fit lines only; bouncing taken out; one that cannot be read is known at once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import ApplianceError, ConfigError
from appliance.guard.inputs import PERIOD_S, STANDS_S, Debounced, open_inputs
from appliance.pins import GpioContact, Inputs, RpiGpioContact, SimContact
from hw.ports import PortError

PI4 = "pinctrl-bcm2711"


class Played:
    """hw.ports.Input that gives levels one after the other; None: it cannot be read."""

    def __init__(self, *levels: bool | None) -> None:
        self._levels = iter(levels)

    def read(self) -> bool:
        level = next(self._levels)
        if level is None:
            raise PortError("line 5: not read")
        return level


def play(*levels: bool | None) -> list[tuple[bool | None, bool]]:
    """Each level read once a period: what counts then, and whether it is news."""
    contact = Debounced(Played(*levels))
    found = []
    for n in range(len(levels)):
        news = contact.read(n * PERIOD_S)
        found.append((contact.active, news))
    return found


def test_a_level_counts_after_it_stood() -> None:
    assert play(True, True, True, True, True) == [
        (None, False), (None, False), (None, False), (True, True), (True, False)
    ]  # fmt: skip


def test_bouncing_is_nothing() -> None:
    steady = play(*[False] * 4, True, False, True, True, False, True, False, False)
    assert steady[3] == (False, True)
    assert set(steady[4:]) == {(False, False)}


def test_one_that_cannot_be_read_is_known_at_once_and_told_once() -> None:
    found = play(*[True] * 4, None, None, True, None, *[True] * 4)
    assert found[4:] == [(None, True), *[(None, False)] * 6, (True, True)]


def test_the_fault_is_kept_in_words_until_it_answers() -> None:
    contact = Debounced(Played(None, True, True, True, True))
    faults = []
    for n in range(5):
        contact.read(n * PERIOD_S)
        faults.append(contact.fault)
    assert faults == [*["line 5: not read"] * 4, ""]


@given(st.lists(st.sampled_from([True, False, None]), min_size=1))
def test_what_counts_is_what_was_read_steadily_and_never_through_a_fault(levels: list[bool | None]) -> None:
    needed = round(STANDS_S / PERIOD_S) + 2
    for n, (active, _) in enumerate(play(*levels)):
        if active is not None:
            assert None not in levels[n - needed + 2 : n + 1]
            runs = [levels[k : k + needed - 1] for k in range(n + 1)]
            assert [active] * (needed - 1) in runs
        if levels[n] is None:
            assert active is None


@pytest.fixture
def pi4(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.write_text("Raspberry Pi 4 Model B Rev 1.4\0")
    return model


def test_only_what_is_wired_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "key"
    opened = open_inputs(Inputs(bypass_key=SimContact(file)))
    assert list(opened) == ["bypass_key"]
    assert opened["bypass_key"].read() is False
    file.touch()
    assert opened["bypass_key"].read() is True
    assert open_inputs(Inputs()) == {}


@pytest.mark.parametrize("spec", [GpioContact(PI4, 3), RpiGpioContact(3)])
def test_a_line_with_another_duty_is_a_fault_of_the_configuration(
    pi4: Path, spec: GpioContact | RpiGpioContact
) -> None:
    with pytest.raises(ConfigError, match=r"inputs\.startup: Raspberry Pi 4: .* line 3: .*; use one of"):
        open_inputs(Inputs(startup=spec), pi4)


@pytest.mark.parametrize("line", [5, 17])
def test_a_contact_may_sit_on_a_line_pulled_either_way_at_reset(pi4: Path, line: int) -> None:
    with pytest.raises(ApplianceError, match=r"inputs\.reset: .*is not on this machine") as caught:
        open_inputs(Inputs(reset=GpioContact(PI4, line)), pi4)
    assert not isinstance(caught.value, ConfigError)


def test_a_backend_that_cannot_be_had_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match=r"inputs\.running: .*RPi\.GPIO"):
        open_inputs(Inputs(running=RpiGpioContact(17)), tmp_path / "none")
