"""What waits for the Sparkplug host: in memory, on disk, over restarts and damage."""

import time

import pytest

from appliance.clock import BOOT
from appliance.uplink.anchors import Anchor, Anchors
from appliance.uplink.history import History
from appliance.uplink.sparkplug_backlog import Backlog
from appliance.uplink.sparkplug_node import Sample


@pytest.fixture
def opened(tmp_path):
    starts = iter(range(1, 100))

    def again(most_bytes=1_000_000):
        history = History(tmp_path / "sparkplug.db", most_bytes)
        return Backlog(history, Anchors(tmp_path / "anchors.json"), next(starts))

    return again


def sample(n: int, **values: object) -> Sample:
    return Sample("de", n, {"tsq": "ntp", "n": n, **values})


def taken(backlog: Backlog) -> list[int]:
    """The samples of everything that waits, each portion confirmed."""
    found = []
    while len(backlog):
        found += [one.at_ms for one in backlog.oldest()]
        backlog.delivered()
    return found


def test_order_is_kept_in_memory_on_disk_and_over_restarts(opened):
    backlog = opened()
    for n in range(150):
        backlog.add([sample(n)], 0.0)
    assert len(backlog) == 150
    assert backlog.oldest()[0] == sample(0)
    backlog.returned()
    backlog.close()
    backlog = opened()
    backlog.add([sample(150)], 0.0)
    assert len(backlog) == 151
    assert taken(backlog) == list(range(151))
    backlog.close()


def test_what_was_not_confirmed_comes_back(opened):
    backlog = opened()
    backlog.add([sample(n) for n in range(5)], 0.0)
    assert [one.at_ms for one in backlog.oldest()] == [0, 1, 2, 3, 4]
    backlog.add([sample(5)], 1.0)
    backlog.returned()
    assert taken(backlog) == [0, 1, 2, 3, 4, 5]
    backlog.close()


def test_a_minute_in_memory_and_no_longer(opened, tmp_path):
    backlog = opened()
    backlog.add([sample(0)], 100.0)
    backlog.add([sample(1)], 159.0)
    assert History(tmp_path / "sparkplug.db", 1_000_000).samples == 0
    backlog.add([sample(2)], 161.0)
    assert History(tmp_path / "sparkplug.db", 1_000_000).samples == 3
    backlog.close()


def test_the_oldest_give_way_and_are_counted(opened):
    backlog = opened(most_bytes=100_000)
    for n in range(6_000):
        backlog.add([sample(n, noise=hash((n, 1)), more=hash((n, 2)))], 0.0)
    left = taken(backlog)
    assert left == list(range(6_000 - len(left), 6_000))
    assert backlog.evicted == 6_000 - len(left) > 0
    backlog.close()


def test_it_gives_way_where_the_disk_is_wanted(opened):
    backlog = opened()
    backlog.add([sample(n, noise=hash((n, 1))) for n in range(1_200)], 0.0)
    backlog.give_way(10_000)
    left = taken(backlog)
    assert left == list(range(1_200 - len(left), 1_200))
    assert 0 < len(left) < 1_200
    backlog.close()


def test_a_damaged_file_is_begun_anew(opened, tmp_path):
    backlog = opened()
    backlog.add([sample(n) for n in range(60)], 0.0)
    backlog.close()
    (tmp_path / "sparkplug.db").write_bytes(b"no database" * 500)
    backlog = opened()
    backlog.add([sample(7)], 0.0)
    assert taken(backlog) == [7]
    backlog.close()


def test_times_from_before_the_clock_was_right_are_put_right(opened):
    backlog = opened()
    ahead_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.time_ns()
    year_ns = 365 * 86_400 * 10**9
    backlog._anchors._anchors = [Anchor(BOOT, 10**9 + ahead_ns, 10**9 + year_ns, 1.0)]
    stamps = {"none": None, "ntp": 1.0, "est": 1.5 * year_ns / 1e6}
    backlog.add([Sample("de", 1_000, {"tsq": tsq, "ts_err_ms": ms}) for tsq, ms in stamps.items()], 0.0)
    wrong, *fitting = backlog.oldest()
    backlog.returned()
    assert backlog.oldest() == [wrong, *fitting]
    assert abs(wrong.at_ms - 1_000 - year_ns // 10**6) < 50
    assert wrong.values["tsq"] == "est"
    assert 1.0 <= wrong.values["ts_err_ms"] < 2.0
    assert [one.values for one in fitting] == [
        {"tsq": "ntp", "ts_err_ms": 1.0},
        {"tsq": "est", "ts_err_ms": stamps["est"]},
    ]
    assert {one.at_ms for one in fitting} == {1_000}
    backlog.close()
