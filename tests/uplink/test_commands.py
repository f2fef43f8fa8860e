"""Commands through a real broker to a real uplink, with the guard's end of the socket in the test's hand."""

import contextlib
import json
import random
import time

import pytest
from asking import PREFIX, asking, guard
from running import config, event, eventually, running
from tiny_broker import OK_V3, REFUSED_V5_AS_V3, TinyBroker

from appliance.remote import Commands
from appliance.requests import Acknowledge, Learn, Offer, Reply, Reset, Shelve
from appliance.store import Store
from appliance.uplink.caller import is_fit
from appliance.uplink.command import COMMANDS

ALL = tuple(COMMANDS)
WHO = {"who": "anna"}


@pytest.fixture
def port(mosquitto):
    return mosquitto().port


@contextlib.contextmanager
def appliance(folder, port, *, allow=ALL, reply=Reply(ok=True, message="done"), **more):  # noqa: B008
    """(plant, guard) of an uplink that is connected to both."""
    with asking(port) as plant, guard(folder, reply) as one:
        settings = Commands(allow=allow, **more)
        with running(config(folder, port, commands=settings)):
            plant.online()
            eventually(lambda: one.link)
            yield plant, one


def test_what_each_command_asks_of_the_guard(tmp_path, port):
    with appliance(tmp_path, port) as (plant, one):
        assert plant.ask("ack", channel="de.peak", comment="seen")["ok"]
        assert plant.ask("shelve", channel="de.peak", why="w", duration_s=60)["ok"]
        assert plant.ask("learn", act="accept", why="w", sensor="de")["ok"]
        assert plant.ask("reset", why="w")["ok"]  # it is the guard that refuses it
        assert plant.ask("model", sensor="de", why="w", delta="/TdoWg==")["ok"]
        assert plant.ask("ping")["message"] == "here"
    assert one.asked == [
        Acknowledge("de.peak", "mqtt:anna", "seen"),
        Shelve("de.peak", "mqtt:anna", "w", 60.0),
        Learn("de", "accept", "mqtt:anna", "w"),
        Reset("mqtt:anna", "w"),
        Offer("de", b"\xfd7hZ", "mqtt:anna", "w"),
    ]


def test_the_guard_s_refusal_is_the_answer(tmp_path, port):
    with appliance(tmp_path, port, reply=Reply(ok=False, message="refused: so")) as (plant, _):
        answer = plant.ask("ack", channel="de.peak")
        assert (answer["v"], answer["ok"], answer["message"]) == (1, False, "refused: so")
        assert abs(answer["ts"] / 1e3 - time.time()) < 60


def test_what_is_not_enabled_is_refused(tmp_path, port):
    with appliance(tmp_path, port, allow=("ping",)) as (plant, one):
        for name in set(ALL) - {"ping"}:
            assert "not enabled" in plant.ask(name, channel="x", why="y")["message"]
        assert plant.ask("ping")["ok"]
        assert one.asked == []


def test_a_retained_command_is_ignored_kept_or_live(tmp_path, port):
    with asking(port) as early:
        early.publish("ack", {"id": "kept", **WHO, "channel": "c"}, retain=True)
        time.sleep(0.2)
    with appliance(tmp_path, port) as (plant, one):
        plant.publish("ack", {"id": "live", **WHO, "channel": "c"}, retain=True)
        assert plant.ask("ack", channel="d")["ok"]
        assert [answer["id"] for answer in plant.answers("ack")] == [plant.answers("ack")[-1]["id"]]
        assert one.asked == [Acknowledge("d", "mqtt:anna")]
        plant.publish("ack", b"", retain=True)


def test_a_command_that_could_come_too_late_is_refused(tmp_path, port):
    with appliance(tmp_path, port) as (plant, one):
        plant.publish("ack", {"id": "a", **WHO, "channel": "c"}, expiry_s=None)
        eventually(lambda: plant.answers("ack"))
        assert "no Message Expiry" in plant.answers("ack")[0]["message"]
        with asking(port, version5=False) as old:
            old.publish("ping", {"id": "b", **WHO})
            eventually(lambda: plant.answers("ping"))
        assert not plant.answers("ping")[0]["ok"]
        assert one.asked == []


def test_a_repeated_command_is_answered_again_and_done_once(tmp_path, port):
    with appliance(tmp_path, port) as (plant, one):
        said = {"id": "same", **WHO, "channel": "c"}
        for n in range(1, 4):
            plant.publish("ack", said)
            eventually(lambda n=n: len(plant.answers("ack")) == n)
        assert len({json.dumps(answer) for answer in plant.answers("ack")}) == 1
        assert plant.answers("ack")[0]["ok"]
        assert len(one.asked) == 1
        plant.publish("ack", {**said, "channel": "other"})
        eventually(lambda: len(plant.answers("ack")) == 4)
        assert "stood in another command" in plant.answers("ack")[-1]["message"]
        assert len(one.asked) == 1


def test_a_flood_is_answered_once_a_second_and_starves_neither_events_nor_other_commands(tmp_path, port):
    store = Store(tmp_path / "events.db")
    with appliance(tmp_path, port) as (plant, one):
        for n in range(1000):
            plant.publish("ack", {"id": f"f{n}", **WHO, "channel": "c"})
        accepted = store.accept([event()])[0].id
        began_s = time.monotonic()
        assert plant.ask("ping")["ok"]
        eventually(lambda: accepted in [one["id"] for one in plant.of("event/alarm")])
        assert time.monotonic() - began_s < 5.0
        time.sleep(0.5)
        took_s = time.monotonic() - began_s
        refused = [answer for answer in plant.answers("ack") if not answer["ok"]]
        assert 20 <= len(one.asked) <= 20 + took_s + 2
        assert 1 <= len(refused) <= took_s + 2
        assert "too many commands" in refused[0]["message"]


def test_a_guard_that_says_nothing_is_not_waited_for_and_its_late_replies_answer_nobody_else(tmp_path, port):
    with appliance(tmp_path, port, reply=None) as (plant, one):
        began_s = time.monotonic()
        answer = plant.ask("ack", channel="c")
        assert (answer["ok"], "did not answer within 3 s" in answer["message"]) == (False, True)
        assert time.monotonic() - began_s < 3.8
        one.link.send(Reply(ok=True, message="late"))
        one.reply = Reply(ok=True, message="in time")
        assert plant.ask("ack", channel="d")["message"] == "in time"


def test_a_guard_that_goes_away_before_it_answers(tmp_path, port):
    with appliance(tmp_path, port, reply=None) as (plant, one):
        plant.publish("ack", {"id": "a", **WHO, "channel": "c"})
        eventually(lambda: one.asked)
        one.close()
        eventually(lambda: plant.answers("ack"))
        assert "went away" in plant.answers("ack")[0]["message"]
        with guard(tmp_path) as again:
            eventually(lambda: again.link)
            assert plant.ask("ack", channel="c")["ok"]


@pytest.mark.parametrize("topic", ["answers/+", "answers/#", "answers/\0", ""])
def test_an_answer_needs_one_topic(topic):
    """Newer brokers end the connection of whoever asks for such a one."""
    assert is_fit("answers/mine", PREFIX)
    assert not is_fit(topic, PREFIX)


def test_the_answer_goes_to_the_response_topic_too_where_it_can_do_no_harm(tmp_path, port):
    harmful = [
        f"{PREFIX}/status",
        "pdm/v1/site/area/machine/other/cmd/ack",
        "a" * 201,
        "$x",
    ]
    with appliance(tmp_path, port) as (plant, _):
        plant.publish("ping", {"id": "1", **WHO}, response_topic="answers/mine", correlation=b"\x00\xff7")
        eventually(lambda: [one for one in plant.heard if one[0] == "answers/mine"])
        mine = next(one for one in plant.heard if one[0] == "answers/mine")
        assert json.loads(mine[1]) == plant.answers("ping")[0]
        assert mine[2].CorrelationData == b"\x00\xff7"
        before = len(plant.heard)
        for n, topic in enumerate(harmful):
            plant.publish("ping", {"id": f"h{n}", **WHO}, response_topic=topic, correlation=b"7")
        eventually(lambda: len(plant.answers("ping")) == 1 + len(harmful))
        expected = {f"{PREFIX}/rsp/ping", *(f"{PREFIX}/cmd/ping",)}
        heard = {one[0] for one in plant.heard[before:] if b'"h' in one[1]}
        assert heard == expected
        plant.publish("ping", {"id": "long", **WHO}, response_topic="answers/long", correlation=b"7" * 257)
        eventually(lambda: plant.answers("ping")[-1]["id"] == "long")
        assert "Correlation Data" in plant.answers("ping")[-1]["message"]


@pytest.mark.parametrize("name", [*ALL, "nothing", "a" * 300, "\u00e4"])
def test_raw_bytes_execute_nothing_and_stop_nothing(tmp_path, port, name):
    rng = random.Random(name)
    sound = json.dumps({"id": "x", **WHO, "channel": "c", "why": "w", "act": "again"}).encode()
    odd = [b"", b"[" * 4000, b'{"a":' * 600, b"x" * 100_000, b"null"]
    odd.append(b'{"id":"y","who":"a\\u001b[2J","channel":"c","why":"w","duration_s":1e999}')
    for _ in range(10):
        broken = bytearray(sound)
        broken[rng.randrange(len(broken))] = rng.choice(b'\x00\xff{}[]",:')
        odd.append(bytes(broken) + b"}")
    with appliance(tmp_path, port) as (plant, one):
        for payload in odd:
            plant.publish(name, payload)
        if name in ALL:
            least = 2 if name == "model" else len(odd)  # of models two are looked at, then one a minute
            eventually(lambda: len(plant.answers(name)) >= least)
        assert not [answer for answer in plant.answers(name) if answer["ok"]]
        assert plant.ask("ping")["ok"]
        assert one.asked == []


def test_over_mqtt_3_1_1_there_is_no_expiry_to_ask_for(tmp_path):
    def packet(retain, name, payload):
        topic = f"{PREFIX}/cmd/{name}".encode()
        body = len(topic).to_bytes(2, "big") + topic + json.dumps(payload).encode()
        return bytes([0x30 | retain]) + bytes([len(body) % 128 + 128, len(body) // 128]) + body

    broker = TinyBroker(lambda level: OK_V3 if level == 4 else REFUSED_V5_AS_V3)
    with running(config(tmp_path, broker.port, commands=Commands(allow=("ping",)))):
        eventually(lambda: [one for one in broker.published if one[0].endswith("/info")])
        broker.say(packet(1, "ping", {"id": "kept", **WHO}) + packet(0, "ping", {"id": "new", **WHO}))
        answers = []
        eventually(lambda: answers.extend(one for one in broker.published if "/rsp/" in one[0]) or answers)
        assert [(topic, json.loads(payload)["id"]) for topic, payload in answers] == [
            (f"{PREFIX}/rsp/ping", "new")
        ]
    broker.close()


def test_a_window_of_one_message_is_enough_for_all_of_it(tmp_path, port):
    store = Store(tmp_path / "events.db")
    seqs = [one.seq for one in store.accept([event() for _ in range(30)])]
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "1-x.npz").write_bytes(b"x" * 200_000)
    settings = config(tmp_path, port, commands=Commands(allow=ALL, waveforms=True), window=1)
    with asking(port) as plant, guard(tmp_path), running(settings):
        plant.online()
        assert plant.ask("ack", channel="c")["ok"]
        eventually(lambda: len(plant.of("event/alarm")) == 30)
        eventually(
            lambda: (
                plant.ask("replay", from_seq=seqs[0], to_seq=seqs[-1])["message"] == "30 of 30 events follow"
            )
        )
        assert plant.ask("evidence", name="1-x")["ok"]
        assert plant.ask("rebirth")["ok"]
        eventually(lambda: plant.of("wave/manifest"))
        eventually(lambda: len(plant.of("event/alarm")) >= 60)
        assert len({one["id"] for one in plant.of("event/alarm")}) == 30
        assert len(plant.chunks()) == 4
        eventually(lambda: len(plant.of("status")) == 2)
