"""Which row leaves next, and when it is delivered: against a real store, with a clock of our own."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.records import Event, EventKind
from appliance.store import Store
from appliance.uplink.drain import NO_SUBSCRIBERS, QUOTA_EXCEEDED, Drain
from appliance.uplink.outbox import Outbox
from appliance.uplink.pace import Pace

DENIED = 0x87


def event(kind: EventKind = EventKind.ALARM) -> Event:
    return Event(kind, f"{kind.value}.raised", "alarm", "m", 1, 1, "ntp")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "events.db")


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "events.db")


@pytest.fixture
def drain(outbox: Outbox) -> Drain:
    one = Drain(outbox, 10.0, Pace(0.0, 0.0))
    one.connected(0.0)
    return one


def ids(rows):
    return [row.key[1] for row in rows]


def test_a_row_leaves_only_when_the_broker_has_outlived_its_puback(store, outbox, drain):
    accepted = store.accept([event()])
    [row] = drain.take(5, 0.0)
    assert drain.take(5, 0.0) == []
    drain.settle(1e9, 0.5)
    assert outbox.backlog() == 1
    drain.answered(row.key, 0, 1.0)
    assert drain.backlog() == 0
    drain.settle(10.9, 50.0)
    assert outbox.backlog() == 1
    drain.settle(11.0, 51.0)
    assert outbox.backlog() == 0
    assert row.key[1] == accepted[0].id


def test_a_new_connection_offers_live_rows_then_unanswered_ones_and_unsettled_ones_last(store, drain):
    answered, unanswered = ids_of(store.accept([event(), event()]))
    rows = drain.take(2, 0.0)
    drain.answered(rows[0].key, 0, 1.0)
    drain.connected(2.0)
    new = ids_of(store.accept([event(EventKind.AUDIT)]))[0]
    assert ids(drain.take(5, 2.0)) == [new, unanswered, answered]
    assert drain.is_late((1, unanswered))
    assert not drain.is_late((2, new))


def test_a_new_process_offers_everything_that_has_not_settled(store, outbox, drain):
    accepted = ids_of(store.accept([event(), event()]))
    for row in drain.take(2, 0.0):
        drain.answered(row.key, 0, 1.0)
    again = Drain(outbox, 10.0, Pace(0.0, 0.0))
    again.connected(0.0)
    assert ids(again.take(5, 0.0)) == accepted


def test_a_trip_overtakes_a_running_drain(store, drain):
    store.accept([event() for _ in range(10)])
    drain.take(3, 0.0)
    trip = store.accept([event(EventKind.TRIP)])[0].id
    assert ids(drain.take(2, 0.0))[0] == trip


def test_a_refused_row_is_parked_until_a_later_connection(store, outbox, drain):
    refused, fine = ids_of(store.accept([event(), event()]))
    rows = drain.take(2, 0.0)
    drain.answered(rows[0].key, DENIED, 1.0)
    drain.answered(rows[1].key, 0, 1.0)
    assert drain.take(5, 1000.0) == []
    drain.connected(30.0)
    assert ids(drain.take(5, 30.0)) == [fine]
    drain.connected(70.0)
    assert ids(drain.take(5, 70.0)) == [fine, refused]
    drain.settle(1e9, 1e9)
    assert outbox.row(rows[0].key) is not None
    assert drain.refused == 1


def test_an_exceeded_quota_waits_a_minute(store, drain):
    store.accept([event()])
    [row] = drain.take(1, 0.0)
    drain.answered(row.key, QUOTA_EXCEEDED, 0.0)
    assert drain.take(1, 59.0) == []
    assert drain.take(1, 60.0) == [row]


def test_nobody_listening_is_offered_again_soon_after_a_connection(store, drain):
    store.accept([event()])
    [row] = drain.take(1, 0.0)
    drain.answered(row.key, NO_SUBSCRIBERS, 1.0)
    assert drain.take(1, 5.9) == []
    assert drain.take(1, 6.0) == [row]


def test_nobody_listening_keeps_the_row_for_a_day(store, outbox, drain):
    drain.connected(-60.0)
    store.accept([event()])
    now_s = 0.0
    [row] = drain.take(1, now_s)
    offers = 1
    while now_s < 86_400:
        drain.answered(row.key, NO_SUBSCRIBERS, now_s)
        assert drain.take(1, now_s + 59.0) == []
        now_s += 60.0
        assert drain.take(1, now_s) == [row]
        offers += 1
    drain.answered(row.key, NO_SUBSCRIBERS, now_s)
    assert drain.nobody_listening == offers
    drain.settle(now_s + 11, now_s + 11)
    assert outbox.backlog() == 0


def ids_of(events):
    return [one.id for one in events]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.sampled_from(list(EventKind))),
        st.tuples(st.just("take"), st.integers(1, 4)),
        st.tuples(st.just("answer"), st.sampled_from([0, 0, 0, DENIED, NO_SUBSCRIBERS, QUOTA_EXCEEDED])),
        st.tuples(st.just("wait"), st.sampled_from([0.2, 5.0, 61.0])),
        st.tuples(st.just("connect"), st.none()),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_order_of_faults_loses_a_row(tmp_path_factory, steps):
    """None leaves the outbox without a PUBACK; once the faults are over all are settled."""
    path = tmp_path_factory.mktemp("drain") / "events.db"
    store, outbox = Store(path), Outbox(path)
    drain = Drain(outbox, 10.0, Pace(0.0, 0.0))
    now_s, flight, accepted, acknowledged = 0.0, [], set(), set()
    drain.connected(now_s)
    for step, value in steps:
        if step == "accept":
            accepted.add(store.accept([event(value)])[0].id)
        elif step == "take":
            flight += [row.key for row in drain.take(value, now_s)]
            assert len(flight) == len(set(flight))
        elif step == "answer" and flight:
            key = flight.pop(0)
            drain.answered(key, value, now_s)
            acknowledged |= {key[1]} if value == 0 else set()
        elif step == "wait":
            now_s += value
            drain.settle(now_s, now_s)
        elif step in ("connect", "restart"):
            drain = drain if step == "connect" else Drain(outbox, 10.0, Pace(0.0, 0.0))
            flight = []
            drain.connected(now_s)
        left = {row.key[1] for row in outbox.pending({}, 1000)}
        assert accepted - left <= acknowledged
    for _ in range(4):
        now_s += 100.0
        drain.connected(now_s)
        for _ in range(3):
            now_s += 61.0
            for row in drain.take(1000, now_s):
                drain.answered(row.key, 0, now_s)
        now_s += 20.0
        drain.settle(now_s, now_s)
    assert outbox.backlog() == 0
    outbox.close()
    store.close()


def test_late_rows_keep_their_pace_and_live_ones_overtake_them(store, outbox):
    late = ids_of(store.accept([event() for _ in range(30)]))
    pace = Pace(10.0, 0.0)
    drain = Drain(outbox, 10.0, pace)
    pace.connected(0.0, 1e9)
    drain.connected(0.0)
    sent = []
    for n in range(10):
        if n == 5:
            live = store.accept([event(EventKind.AUDIT)])[0].id
            before = len(sent)
        sent += ids(drain.take(20, n * 0.1))
    assert sent[before] == live
    assert 3 <= before <= 5
    assert [one for one in sent if one != live] == late[: len(sent) - 1]
    assert 8 <= len(sent) <= 11
    assert drain.late_left
    assert 0 < drain.patience_s(4.0, 1.0) <= 0.1


def test_late_trips_wait_for_nothing(store, outbox):
    pace = Pace(1.0, 30.0)
    drain = Drain(outbox, 10.0, pace)
    store.accept([event(), event(EventKind.HEALTH)])
    trips = ids_of(store.accept([event(EventKind.TRIP) for _ in range(5)]))
    pace.connected(0.0, 1e9)
    drain.connected(0.0)
    assert ids(drain.take(3, 0.0)) == trips[:3]
    assert ids(drain.take(3, 0.0))[:2] == trips[3:]


def test_nothing_to_do_means_a_long_sleep(store, drain):
    assert drain.take(5, 0.0) == []
    assert not drain.late_left
    assert drain.patience_s(4.0, 0.0) == 4.0
    store.accept([event()])
    assert len(drain.take(5, 0.0)) == 1  # seen at once: the guard has written
    assert drain.patience_s(4.0, 0.0) == 4.0


def test_a_row_whose_wait_is_over_keeps_the_pace_and_the_loop_does_not_spin(store, outbox):
    pace = Pace(1.0, 0.0)
    drain = Drain(outbox, 10.0, pace)
    pace.connected(-1.0, 0.0)
    drain.connected(-1.0)
    store.accept([event() for _ in range(5)])
    for row in drain.take(9, 0.0):
        drain.answered(row.key, NO_SUBSCRIBERS, 0.0)
    assert 4.0 < drain.patience_s(60.0, 0.5) <= 4.5
    assert len(drain.take(9, 6.0)) == 2
    assert drain.patience_s(60.0, 6.0) == 1.0


def test_few_rows_settle_together_and_many_soon(outbox, drain, monkeypatch):
    portions = []
    monkeypatch.setattr(outbox, "delivered", lambda keys: portions.append(len(keys)) or True)
    for n in range(2000):  # ten seconds of a drain at its usual pace
        drain.answered((1, n), 0, n / 200)
        drain.settle(1e9, n / 200)
    assert len(portions) <= 20
    for n in range(5000):
        drain.answered((1, 2000 + n), 0, 10.0)
    for n in range(30):
        drain.settle(1e9, 10.5 + 0.026 * n)
    drain.settle(1e9, 12.0)  # the rest
    assert sum(portions) == 7000
    assert max(portions) <= 250


def test_a_hundred_thousand_rows_that_have_not_settled_are_no_burden(drain):
    tracemalloc.start()
    for n in range(100_000):
        drain.answered((1, 5 << 32 | n), 0, float(n))
    taken_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken_bytes < 2_000_000


def test_the_backlog_is_counted_without_a_scan_through_evictions_and_deliveries(tmp_path):
    path = tmp_path / "events.db"
    store, outbox = Store(path, most_bytes=100_000), Outbox(path)
    for n in range(60):
        store.accept([event() for _ in range(30)])
        if n % 7 == 0:
            assert outbox.delivered([row.key for row in outbox.pending({}, 13)])
        assert outbox.backlog() == len(outbox.pending({}, 10_000))
    assert outbox.evicted() == store.evicted > 0
