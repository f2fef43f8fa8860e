"""COBS: the examples of the paper, and the way back for anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.cobs import CobsError, decode, encode

MANY = bytes(range(1, 255))


@pytest.mark.parametrize(
    ("data", "stuffed"),
    [
        (b"", b"\x01"),
        (b"\0", b"\x01\x01"),
        (b"\0\0", b"\x01\x01\x01"),
        (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33"),
        (b"\x11\x22\x33\x44", b"\x05\x11\x22\x33\x44"),
        (b"\x11\0\0\0", b"\x02\x11\x01\x01\x01"),
        (b"\0" + MANY, b"\x01\xff" + MANY + b"\x01"),
        (MANY + b"\xff", b"\xff" + MANY + b"\x02\xff"),
        (MANY[1:] + b"\xff\0", b"\xff" + MANY[1:] + b"\xff\x01\x01"),
        (MANY[1:] + b"\0", b"\xfe" + MANY[1:] + b"\x01"),
    ],
)
def test_examples(data, stuffed):
    assert encode(data) == stuffed
    assert decode(stuffed) == data


def test_a_last_run_of_254_may_end_there():
    assert decode(b"\xff" + MANY) == decode(b"\xff" + MANY + b"\x01") == MANY


@given(st.lists(st.binary(max_size=600) | st.integers(0, 600).map(lambda n: b"\x05" * n), max_size=4))
def test_there_and_back(parts):
    data = b"\0".join(parts)
    stuffed = encode(data)
    assert 0 not in stuffed
    assert len(stuffed) <= len(data) + 1 + len(data) // 254
    assert decode(stuffed) == data


@given(st.binary(max_size=300))
def test_anything_is_decoded_or_refused(stuffed):
    try:
        data = decode(stuffed)
    except CobsError:
        return
    assert decode(encode(data)) == data


@pytest.mark.parametrize(
    "stuffed", [b"", b"\0", b"\x03\x11", b"\x02\x11\0", b"\x05\x11\x22\x33", b"\xff\x01"]
)
def test_what_is_no_frame(stuffed):
    with pytest.raises(CobsError):
        decode(stuffed)
