"""What a request may hold: words that fit an event and a line of a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.guard.admission import LONGEST, unfit
from appliance.requests import Acknowledge, Bypass, ProofTest, Request, Reset, Shelve

SOUND = [
    Reset("anna", "greased"),
    Bypass("Anna Müller", "probe at 3 o'clock – changed", 60.0),
    Acknowledge("de.peak", "anna"),
    Acknowledge("de.peak", "anna", "known"),
    Shelve("de.peak", "anna", "known", 60.0),
    ProofTest("anna", "yearly"),
    Reset("a" * LONGEST["who"], "b" * LONGEST["why"]),
]


@pytest.mark.parametrize("request_", SOUND)
def test_an_ordinary_request_is_let_in(request_: Request) -> None:
    assert unfit(request_) == ""


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Reset("", "why"), "who is empty; expected it in words; say it"),
        (Reset("anna", " "), "why is empty"),
        (ProofTest("\u2003", "why"), "who is '\\u2003'"),
        (Reset("a" * 86, "why"), "who has 86 characters; expected 85 at most; shorten it"),
        (Bypass("anna", "b" * 201, 1.0), "why has 201 characters; expected 200 at most"),
        (Acknowledge("de.peak", "anna", "c" * 10**6), "comment has 1000000 characters"),
        (Acknowledge("", "anna"), "channel is empty"),
        (Shelve("d" * 10**6, "anna", "why", 1.0), "channel has 1000000 characters"),
        (Reset("anna\nroot", "why"), "who is 'anna\\nroot'; expected text that can be printed, on one line"),
        (Reset("anna", "\x1b[2J"), "why is '\\x1b[2J'"),
        (Reset("\u202eanna", "why"), "who is '\\u202eanna'"),
    ],
)
def test_what_would_spoil_an_event_is_not(request_: Request, words: str) -> None:
    assert unfit(request_).startswith(words)


@given(st.text(), st.text())
def test_what_is_let_in_is_one_printable_line_and_what_is_not_is_told_so(who: str, why: str) -> None:
    fault = unfit(Reset(who, why))
    assert (fault == "") is (
        all(text.strip() and text.isprintable() for text in (who, why)) and len(who) <= 85 and len(why) <= 200
    )
    assert fault.isprintable()
    assert len(fault) < 1000
