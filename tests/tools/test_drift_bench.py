"""A fault that grows for weeks is alarmed before zone C and not learnt, with adaptation off and on."""

from tools.benchmarks import drift


def test_a_slow_fault_is_not_learnt_away() -> None:
    life = list(drift.visits("outer_race", 3))
    off, on = (drift.live(life, adapting=adapting) for adapting in (False, True))
    assert off.adapted == 0 < on.adapted
    for found in (off, on):
        assert found.alarm is not None
        assert found.zone_c is not None
        assert drift.HEALTHY_DAYS < found.alarm < found.zone_c - 7
