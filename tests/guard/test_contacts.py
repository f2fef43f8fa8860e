"""Contacts: what the rack is told of them, and of a contact that was turned while nobody looked."""

from appliance.guard.contacts import RESET_BUTTON, Contacts
from appliance.guard.rack import BypassKey, Machine, StartUp
from appliance.records import MachineState
from appliance.requests import Reset

RUNNING, OFF, STARTING = MachineState.RUNNING, MachineState.OFF, MachineState.STARTING
UNKNOWN = MachineState.UNKNOWN


def contacts(*names: str) -> Contacts:
    return Contacts(frozenset(names))


def test_a_key_turned_back_during_a_restart_ends_the_bypass_that_was_kept() -> None:
    assert contacts("bypass_key").changed("bypass_key", active=False) == (BypassKey(False),)


def test_a_key_that_is_found_turned_begins_no_bypass() -> None:
    one = contacts("bypass_key")
    assert one.changed("bypass_key", active=True) == ()
    assert one.changed("bypass_key", active=False) == (BypassKey(False),)
    assert one.changed("bypass_key", active=True) == (BypassKey(True),)


def test_a_change_is_told_once() -> None:
    one = contacts("bypass_key")
    assert one.changed("bypass_key", active=False) == (BypassKey(False),)
    assert one.changed("bypass_key", active=True) == (BypassKey(True),)
    assert one.changed("bypass_key", active=True) == ()
    assert one.changed("bypass_key", active=False) == (BypassKey(False),)


def test_the_running_contact_is_told_from_its_first_reading() -> None:
    one = contacts("running")
    assert one.changed("running", active=False) == (Machine(OFF),)
    assert one.changed("running", active=False) == ()
    assert one.changed("running", active=True) == (Machine(RUNNING),)


def test_a_button_resets_when_pressed_not_when_let_go() -> None:
    one = contacts("reset")
    assert one.changed("reset", active=False) == ()
    assert one.changed("reset", active=True) == (Reset(RESET_BUTTON, "pressed"),)
    assert one.changed("reset", active=False) == ()


def test_the_start_up_contact() -> None:
    one = contacts("startup")
    assert one.changed("startup", active=False) == ()
    assert one.changed("startup", active=True) == (StartUp(True),)
    assert one.changed("startup", active=False) == (StartUp(False),)


def test_without_contacts_the_models_say_what_the_machine_does() -> None:
    one = contacts()
    assert one.machine(STARTING) == (Machine(STARTING), StartUp(True))
    assert one.machine(STARTING) == ()
    assert one.machine(RUNNING) == (Machine(RUNNING), StartUp(False))
    assert contacts("running").machine(STARTING) == (StartUp(True),)
    assert contacts("startup").machine(STARTING) == (Machine(STARTING),)
    assert contacts("running", "startup").machine(STARTING) == ()


def test_a_contact_that_cannot_be_read_is_open_and_the_machine_unknown() -> None:
    one = contacts("bypass_key", "startup", "running", "reset")
    for name, told, untold in (
        ("bypass_key", BypassKey(True), BypassKey(False)),
        ("startup", StartUp(True), StartUp(False)),
        ("running", Machine(RUNNING), Machine(UNKNOWN)),
    ):
        one.changed(name, active=False)
        assert one.changed(name, active=True) == (told,)
        assert one.changed(name, active=None) == (untold,)
        assert one.changed(name, active=None) == ()
    assert one.changed("running", active=True) == (Machine(RUNNING),)
    assert one.changed("reset", active=None) == ()


def test_a_key_unreadable_from_the_start_ends_the_bypass_that_was_kept() -> None:
    assert contacts("bypass_key").changed("bypass_key", active=None) == (BypassKey(False),)


def test_a_loose_wire_renews_neither_bypass_nor_multiply() -> None:
    one = contacts("bypass_key", "startup")
    for name in ("bypass_key", "startup"):
        one.changed(name, active=False)
        one.changed(name, active=True)
        one.changed(name, active=None)
        assert one.changed(name, active=True) == ()
        one.changed(name, active=False)
    assert one.changed("bypass_key", active=True) == (BypassKey(True),)
    assert one.changed("startup", active=True) == (StartUp(True),)


def test_a_button_that_is_jammed_at_the_start_or_after_a_fault_is_not_pressed() -> None:
    one = contacts("reset")
    assert one.changed("reset", active=True) == ()
    assert one.changed("reset", active=None) == ()
    assert one.changed("reset", active=True) == ()
    assert one.changed("reset", active=False) == ()
    assert one.changed("reset", active=True) == (Reset(RESET_BUTTON, "pressed"),)
