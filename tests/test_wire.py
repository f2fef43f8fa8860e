"""Typed messages over the local socket, and who is at its other end."""

import os
import random
import select
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import wire
from appliance.records import (
    BypassState,
    Capture,
    ChannelState,
    ClockHealth,
    Contribution,
    Event,
    EventKind,
    GuardState,
    Hello,
    Level,
    MachineState,
    ModelAct,
    Notice,
    Quality,
    SampleBlock,
    Score,
    Spectrum,
    TemperatureReading,
    Trace,
    TripGroupState,
    Validity,
)
from appliance.requests import Acknowledge, Bypass, Learn, Offer, PlantAct, ProofTest, Reply, Reset, Shelve

SCORE = Score(
    "de",
    1,
    2,
    Quality.OK,
    MachineState.RUNNING,
    3.5,
    1.0,
    "m",
    (Contribution("f", "axis y", 0.5, 6.3),),
    metrics={"a_mms": 1.0},
)
READING = TemperatureReading("bearing", 5, 41.25)
EVENT = Event(EventKind.TRIP, "trip.fired", "critical", "µ² × °C", 5, 6, "ntp", id=(1 << 32) | 1, seq=9)
MESSAGES = [
    SampleBlock("de", 7, 10**15, 6400.25, 3, 0.0048, bytes(range(60)), 2, Validity.GAP | Validity.CLIP),
    READING,
    TemperatureReading("bearing", 5, None, Validity.RANGE),
    SCORE,
    Spectrum("de", 5, 10.0, 5.0, (0.1, 0.25)),
    GuardState(
        1, 2, "ntp", Level.DANGER, True, False, MachineState.OFF,
        (ChannelState("de.peak", Level.DANGER, False, None, "m/s2", 80.0, None, 3, True, True, "clip"),),
        (ClockHealth("de", 6400.0, -3.0, 0.1, 0, 9),), (SCORE,), (READING,), (1.0, 2.0, 3.0),
        (4.0, 5.0, 6.0), 7.0, (TripGroupState("pair", 2, ("a", "b"), ("a",), ("b",), True),), ("tripped",),
        BypassState("anna", "why", 1, 2), 3, True, True, 8, 9,
    ),
    Hello("uplink"),
    Reset("anna", "looked at"),
    Bypass("anna", "probe", 60.0),
    Acknowledge("de.peak", "anna", "known"),
    Shelve("de.peak", "anna", "known", 60.0),
    ProofTest("anna", "yearly"),
    Learn("de", "again", "anna", "new bearing"),
    ModelAct("de", "model.learnt", "ae-4", who="anna"),
    Offer("de", b"delta", "mqtt:anna", "new bearing"),
    PlantAct("mqtt:anna", "evidence 5-de.peak asked for"),
    Reply(ok=False, message="refused"),
    Trace(3, 5, b"", b"steps", b"changes"),
    Capture("5-de.peak", 5, "trip"),
    Notice(EVENT),
]  # fmt: skip


@pytest.fixture
def pair():
    ends = [wire.Link(sock) for sock in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)]
    yield ends
    for end in ends:
        end.close()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_arrives_as_it_was(pair, message):
    assert pair[0].send(message)
    assert pair[1].receive() == message
    assert pair[1].receive() is None
    assert wire.encode(message) == msgspec.msgpack.encode(message)


def test_every_kind_of_message_is_tried_here():
    assert {type(message) for message in MESSAGES} == set(wire.Message.__args__)


def test_messages_keep_their_borders_and_order(pair):
    for message in MESSAGES:
        pair[0].send(message)
    assert [pair[1].receive() for _ in MESSAGES] == MESSAGES


def test_a_received_block_survives_the_next(pair):
    first = SampleBlock("de", 0, 0, 1000.0, 1, 1.0, b"\x01\x00" * 50)
    pair[0].send(first)
    got = pair[1].receive()
    pair[0].send(SampleBlock("de", 1, 0, 1000.0, 1, 1.0, b"\x02\x00" * 50))
    pair[1].receive()
    assert got == first


def test_a_full_buffer_drops_and_never_blocks(pair):
    block = SampleBlock("de", 0, 0, 1000.0, 1, 1.0, bytes(4000))
    sent = 0
    while pair[0].send(block):
        sent += 1
        assert sent < 100_000
    assert sent * 4000 > 100_000
    pair[1].receive()
    for _ in range(sent - 1):
        assert pair[1].receive() == block
    assert pair[1].receive() is None


def test_the_end_is_told(pair):
    pair[0].send(MESSAGES[0])
    pair[0].close()
    assert pair[1].receive() == MESSAGES[0]
    with pytest.raises(wire.Closed, match="closed the link"):
        pair[1].receive()
    with pytest.raises(wire.Closed, match="while sending"):
        pair[1].send(MESSAGES[0])
    assert pair[0].fileno() == -1
    with pytest.raises(wire.Closed):
        pair[0].receive()


def damaged(seed):
    """A sound packet with some bytes changed, or cut."""
    random_ = random.Random(seed)
    packet = bytearray(wire.encode(random_.choice(MESSAGES)))
    for _ in range(random_.randint(1, 4)):
        packet[random_.randrange(len(packet))] = random_.randrange(256)
    return bytes(packet[: random_.randint(1, len(packet))])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(min_size=1, max_size=200), st.integers(0, 10**9).map(damaged)))
def test_rubbish_closes_the_link_and_raises_nothing_else(packet):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link = wire.Link(ours)
    theirs.send(packet)
    try:
        message = link.receive()
    except wire.Closed as fault:
        assert "not a message" in str(fault)  # noqa: PT017
    else:
        assert isinstance(message, wire.Message)
    finally:
        theirs.close()
        link.close()


def test_rubbish_nested_without_end_closes_the_link():
    nested = b"\x82\xa4type\xa5Hello\xa1x" + b"\x91" * 100_000 + b"\xc0"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link = wire.Link(ours)
    theirs.send(nested)
    with pytest.raises(wire.Closed):
        link.receive()
    theirs.close()
    link.close()


def test_no_guard_no_connection(tmp_path):
    with pytest.raises(FileNotFoundError):
        wire.connect(tmp_path / "g.sock", Hello("status"))
    listener = wire.Listener(tmp_path / "g.sock")
    listener._sock.close()
    with pytest.raises(ConnectionRefusedError):
        wire.connect(tmp_path / "g.sock", Hello("status"))


def test_a_guard_that_accepts_no_one_holds_no_one(tmp_path):
    listener = wire.Listener(tmp_path / "g.sock")
    waiting = [wire.connect(tmp_path / "g.sock", Hello("status")) for _ in range(8)]

    def crowd() -> None:
        waiting.extend(wire.connect(tmp_path / "g.sock", Hello("status")) for _ in range(100))

    with pytest.raises(OSError, match="temporarily unavailable"):
        crowd()
    for link in waiting:
        link.close()
    listener.close()


def test_a_listener_replaces_what_a_killed_one_left_and_cleans_up(tmp_path):
    path = tmp_path / "deep" / "g.sock"
    left = wire.Listener(path)
    listener = wire.Listener(path)
    left._sock.close()
    assert path.stat().st_mode & 0o777 == 0o660
    link = wire.connect(path, Hello("status"))
    other = listener.accept()
    assert other.receive() == Hello("status")
    other.send(Reply(ok=True, message="hello"))
    assert link.receive() == Reply(ok=True, message="hello")
    link.close()
    other.close()
    listener.close()
    assert not path.exists()


STRANGER = """
import os, socket, sys
os.setgroups([int(group) for group in sys.argv[2].split()])
os.setgid(65534)
os.setuid(65534)
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock.connect(sys.argv[1])
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(("groups", "ours"), [("", False), ("7 8", False), ("7 {own}", True)])
def test_who_is_neither_us_nor_of_our_group_is_known(groups, ours):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        listener = wire.Listener(path)
        path.parent.chmod(0o755)
        path.chmod(0o666)
        words = [sys.executable, "-c", STRANGER, str(path), groups.format(own=os.getegid())]
        stranger = subprocess.Popen(words, stdin=subprocess.PIPE)
        try:
            assert select.select([listener], [], [], 10)[0]
            assert listener.accept().peer_is_ours() is ours
        finally:
            stranger.communicate()
            listener.close()
    assert stranger.returncode == 0


def test_we_are_ours(tmp_path):
    listener = wire.Listener(tmp_path / "s")
    link = wire.connect(tmp_path / "s", Hello("status"))
    assert listener.accept().peer_is_ours()
    link.close()
    listener.close()
