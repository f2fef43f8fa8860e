"""Who hears what on the guard's socket; and that no listener, slow, rude or dead, holds the guard up."""

import contextlib
import select
import socket
import threading
import time

import pytest
from mounted import Guarded, wave

from appliance import wire
from appliance.guard.feed import Feed
from appliance.records import (
    Capture,
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
)
from appliance.remote import Commands
from appliance.requests import Acknowledge, Bypass, Learn, Offer, PlantAct, ProofTest, Reply, Reset, Shelve


class Served:
    """A feed with its protection; turned by the test."""

    def __init__(self, folder, from_plant=(PlantAct,)):
        self.path = folder / "g.sock"
        self.guarded = Guarded()
        self.guarded.run(1)
        protection = self.guarded.protection
        self.feed = Feed(wire.Listener(self.path), protection, protection.state, from_plant)

    def join(self, role):
        link = wire.connect(self.path, Hello(role))
        self.turn()
        return link

    def turn(self, times=1):
        for _ in range(times):
            self.feed.turn(0.05)


@pytest.fixture
def served(tmp_path):
    one = Served(tmp_path)
    yield one
    one.feed.close()


def heard(link):
    messages = []
    while (message := link.receive()) is not None:
        messages.append(message)
    return messages


def block(guarded, n=100):
    return guarded.block(wave(1.0, n=n))


def test_everyone_hears_what_concerns_them(served):
    links = {role: served.join(role) for role in ("uplink", "status", "evidence", "analysis")}
    for role in ("uplink", "status", "evidence"):
        assert isinstance(heard(links[role])[0], GuardState)  # at once
    said = [block(served.guarded), served.guarded.temperature(40.0), served.guarded.protection.state()]
    for message in said:
        served.feed.publish(message)
    event = Event(EventKind.TRIP, "trip.fired", "critical", "m", 5, 6, "ntp", evidence="5-de.peak")
    served.feed.tell(event)
    assert [type(m) for m in heard(links["analysis"])] == [SampleBlock, GuardState]
    assert [type(m) for m in heard(links["evidence"])] == [
        SampleBlock,
        TemperatureReading,
        GuardState,
        Notice,
        Capture,
    ]
    for role in ("uplink", "status"):
        messages = heard(links[role])
        assert [type(m) for m in messages if not isinstance(m, GuardState)] == [Notice]
        assert messages[-1].event == event


def test_only_what_has_evidence_is_captured(served):
    link = served.join("analysis")
    served.feed.tell(Event(EventKind.AUDIT, "boot", "info", "m", 5, 6, "ntp"))
    assert heard(link) == []


def test_a_score_reaches_the_protection(served):
    link = served.join("analysis")
    score = Score("de", 0, served.guarded.t_ns, Quality.OK, MachineState.RUNNING, 3.0, 2.0, "m1")
    link.send(score)
    served.turn()
    assert served.guarded.protection.state().scores == (score,)


def test_a_flood_of_scores_is_taken_in_small_parts(served):
    """Sampling threads wait for the same lock: between two parts it is theirs."""
    flood, asking = served.join("analysis"), served.join("status")
    for n in range(100):
        flood.send(Score("de", n, n + 1, Quality.OK, MachineState.RUNNING, 0.5, 1.0))
    asking.send(Reset("anna", "looked at it"))
    served.turn()
    assert isinstance(heard(asking)[-1], Reply)
    taken = served.guarded.protection.state().scores
    assert 1 < taken[0].t1_mono_ns < 20
    served.turn(20)
    assert served.guarded.protection.state().scores[0].t1_mono_ns == 100


def test_a_spectrum_goes_on_to_the_uplink_alone(served):
    links = {role: served.join(role) for role in ("uplink", "status", "evidence", "analysis")}
    spectrum = Spectrum("de", served.guarded.t_ns, 10.0, 5.0, (0.1, 0.2))
    links["analysis"].send(spectrum)
    served.turn()
    hearers = {role for role, link in links.items() if spectrum in heard(link)}
    assert hearers == {"uplink"}


def test_a_reset_is_answered_and_obeyed(served):
    link = served.join("status")
    heard(link)
    served.guarded.run(1, 140.0)
    assert not served.guarded.energised
    link.send(Reset("anna", "why"))
    served.turn()
    refusal = heard(link)[-1]
    assert isinstance(refusal, Reply)
    assert not refusal.ok
    served.guarded.run(2)
    link.send(Reset("anna", "why"))
    served.turn()
    assert heard(link)[-1].ok
    assert served.guarded.energised


def test_a_wish_to_learn_goes_to_analysis_and_what_came_of_it_into_the_journal(served):
    asking, wish = served.join("status"), Learn("", "again", "anna", "new bearing")
    asking.send(wish)
    served.turn()
    assert heard(asking)[-1] == Reply(
        ok=False,
        message="refused: no analysis is connected, or it is too busy to listen; see that it runs, ask again",
    )
    analysis = served.join("analysis")
    asking.send(wish)
    served.turn()
    assert heard(analysis)[-1] == wish
    assert heard(asking)[-1].ok
    asking.send(Learn("de", "accept", "", "why"))
    served.turn()
    assert "who is empty" in heard(asking)[-1].message
    assert not heard(analysis)
    analysis.send(ModelAct("de", "model.learnt", "ae-4 of\n312 windows", who="anna"))
    served.turn()
    asked, learnt = served.guarded.events("learn.asked", "model.learnt")[-2:]
    assert (asked.type, asked.who, asked.why) == ("learn.asked", "anna", "new bearing")
    assert (learnt.kind, learnt.type) == (EventKind.AUDIT, "model.learnt")
    assert (learnt.message, learnt.who) == ("machine: de: ae-4 of 312 windows", "anna")


def test_a_wish_that_a_busy_analysis_does_not_take_is_refused_and_not_told_as_asked(served):
    busy, asking = served.join("analysis"), served.join("status")
    full = block(served.guarded, n=4000)
    assert any(served.feed.publish(full) == 0 for _ in range(10_000))
    asking.send(Learn("de", "again", "anna", "new bearing"))
    served.turn()
    reply = heard(asking)[-1]
    assert (reply.ok, "too busy to listen" in reply.message) == (False, True)
    assert served.guarded.events("learn.asked") == []
    heard(busy)
    asking.send(Learn("de", "again", "anna", "new bearing"))
    served.turn()
    assert heard(asking)[-1].ok
    assert [type(one) for one in heard(busy)] == [Learn]


def test_a_slow_listener_loses_messages_and_holds_no_one_up(served):
    slow, keen = served.join("analysis"), served.join("analysis")
    sent, slowest_s, got = 0, 0.0, []
    while served.feed.dropped == 0:
        message = block(served.guarded, n=4000)
        began_s = time.perf_counter()
        served.feed.publish(message)
        slowest_s = max(slowest_s, time.perf_counter() - began_s)
        sent += 1
        got += heard(keen)
        assert sent < 10_000, "the buffer has no end"
    assert slowest_s < 0.2
    seqs = [m.seq for m in got]
    assert seqs == list(range(seqs[0], seqs[0] + sent))  # the keen one has everything
    before = heard(slow)
    assert len(before) == sent - 1
    served.feed.publish(block(served.guarded))
    assert heard(slow)[0].seq == before[-1].seq + 2  # the hole tells of the loss


def test_who_does_not_read_his_replies_is_shown_the_door(served):
    """A reply that is lost would make the next one look like the answer to the wrong question."""
    deaf = served.join("status")
    served.feed.publish(served.guarded.protection.state())
    while served.feed.dropped == 0:
        served.feed.publish(served.guarded.protection.state())
    deaf.send(Reset("anna", "why"))
    served.turn()
    assert served.feed._roles == {}


def test_a_listener_that_died_is_forgotten(served):
    gone, stays = served.join("analysis"), served.join("analysis")
    gone.close()
    for _ in range(3):
        served.feed.publish(block(served.guarded))
        served.turn()
    assert len(served.feed._roles) == 1
    assert len(heard(stays)) == 3


def test_publishing_to_the_dead_closes_nothing_under_the_serving_thread(served):
    """A descriptor closed by another thread while it is waited for would end the guard."""
    link = served.join("analysis")
    mine = next(iter(served.feed._roles))
    link.close()
    served.feed.publish(block(served.guarded))
    assert mine.fileno() >= 0
    served.turn()
    assert mine.fileno() == -1
    assert served.feed._roles == {}


def test_listeners_that_come_and_go_while_it_publishes_do_no_harm(served):
    stop, faults = threading.Event(), []

    def guard():
        try:
            while not stop.is_set():
                served.feed.turn(0.005)
        except BaseException as fault:  # noqa: BLE001 - the test asks for it
            faults.append(fault)

    def visitor():
        while not stop.is_set():
            with contextlib.suppress(BlockingIOError):  # the guard's door may be full of others
                wire.connect(served.path, Hello("analysis")).close()
            time.sleep(0.001)

    threads = [
        threading.Thread(target=guard),
        threading.Thread(target=visitor),
        threading.Thread(target=visitor),
    ]
    for thread in threads:
        thread.start()
    until_s = time.monotonic() + 1.0
    while time.monotonic() < until_s:
        served.feed.publish(block(served.guarded, n=20))
    stop.set()
    for thread in threads:
        thread.join(5)
    assert faults == []


def raw(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(str(path))
    return sock


@pytest.mark.parametrize("packet", [b"\xff\xff\xff", b"GET / HTTP/1.1", wire.encode(Reset("x", "y"))])
def test_who_does_not_introduce_himself_is_shown_the_door(served, packet):
    sock = raw(served.path)
    sock.send(packet)
    served.turn()
    assert sock.recv(10) == b""
    assert served.feed._roles == {}
    assert served.guarded.protection.state().level is Level.NORMAL


def test_who_says_nothing_is_shown_the_door_soon(served):
    sock = raw(served.path)
    began_s = time.monotonic()
    served.turn()
    assert time.monotonic() - began_s < 1.0
    assert sock.recv(10) == b""


def test_who_talks_rubbish_later_is_shown_the_door(served):
    sock = raw(served.path)
    sock.send(wire.encode(Hello("status")))
    served.turn()
    assert len(served.feed._roles) == 1
    sock.send(b"\x00rubbish")
    served.turn()
    assert served.feed._roles == {}


def test_the_end_takes_the_socket_away(served):
    link = served.join("status")
    served.feed.close()
    heard_end = False
    try:
        select.select([link], [], [], 1)
        heard(link)
    except wire.Closed:
        heard_end = True
    assert heard_end
    assert not served.path.exists()


OF_PEOPLE = (
    Reset("x", "y"),
    Bypass("x", "y", 60.0),
    Acknowledge("de.peak", "x"),
    Shelve("de.peak", "x", "y", 60.0),
    ProofTest("x", "y"),
    Learn("", "again", "x", "y"),
    PlantAct("evidence 5-de.peak", "x"),
    Offer("de", b"delta", "x", "y"),
)
ALL = ("ack", "evidence", "learn", "model", "ping", "rebirth", "replay", "reset", "shelve")


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        (Commands(), {PlantAct}),
        (Commands(allow=("ack",)), {PlantAct, Acknowledge}),
        (Commands(allow=ALL), {PlantAct, Acknowledge, Shelve, Learn, Offer}),
        (
            Commands(allow=ALL, trip_reset="from afar, nobody can reach the machine"),
            {PlantAct, Acknowledge, Shelve, Learn, Offer, Reset},
        ),
        (Commands(trip_reset="from afar, nobody can reach the machine"), {PlantAct}),
    ],
)
def test_from_the_network_the_guard_takes_what_the_configuration_grants_and_nothing_else(
    tmp_path, settings, taken
):
    served = Served(tmp_path, settings.requests)
    link = served.join("uplink")
    for request in OF_PEOPLE:
        link.send(request)
    served.turn()
    replies = [message for message in heard(link) if isinstance(message, Reply)]
    over_the_network = "refused: not over the network"
    refused = [reply.message.startswith(over_the_network) for reply in replies]
    assert [type(request) not in taken for request in OF_PEOPLE] == refused
    served.feed.close()


def test_what_the_plant_asked_of_the_uplink_stands_in_the_journal(served):
    link = served.join("uplink")
    link.send(PlantAct("evidence 5-de.peak, 576 kB", "mqtt:anna"))
    served.turn()
    (asked,) = served.guarded.events("plant.asked")
    assert (asked.kind, asked.who) == (EventKind.AUDIT, "mqtt:anna")
    assert asked.message == "machine: evidence 5-de.peak, 576 kB"
    link.send(PlantAct("evidence\x1b[2J", "mqtt:anna"))
    served.turn()
    assert "can be printed" in heard(link)[-1].message


def test_a_model_that_the_plant_offers_goes_to_analysis(tmp_path):
    served = Served(tmp_path, (Offer,))
    plant, offer = served.join("uplink"), Offer("de", b"\x00" * 65_536, "mqtt:anna", "from 40 pumps")
    plant.send(offer)
    served.turn()
    assert "no analysis is connected" in heard(plant)[-1].message
    analysis = served.join("analysis")
    plant.send(offer)
    plant.send(Offer("de", b"\x00" * 65_537, "mqtt:anna", "y"))
    served.turn()
    assert heard(analysis) == [offer]
    assert [(reply.ok, reply.message[:20]) for reply in heard(plant)] == [
        (True, "asked: try a model, "),
        (False, "refused: delta has 6"),
    ]
    (asked,) = served.guarded.events("model.offered")
    assert (asked.who, asked.why) == ("mqtt:anna", "from 40 pumps")
    served.feed.close()
