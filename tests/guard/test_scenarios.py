"""Every scenario of tests/scenarios on the real trip path; one that is wrong fails with its timeline."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from scenario import Expect, of, read
from stage import Stage

from appliance.errors import ConfigError

SCENARIOS = Path(__file__).parents[1] / "scenarios"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path) -> None:
    try:
        report = Stage(read(path), tmp_path).play()
    except (ValueError, ConfigError) as fault:
        report = str(fault)
    if report:
        pytest.fail(f"{path.name}: {report}", pytrace=False)


# A scenario that expects what is not so must fail, and say where.

SOUND: dict[str, Any] = tomllib.loads((SCENARIOS / "vote-2oo3-two-in-danger.toml").read_text())
WRONG: dict[str, tuple[object, str]] = {
    "relay": ("energised", "relay: expected energised, found de-energised"),
    "tripped": (False, "tripped: expected False, found True"),
    "level": ({"de.peak": "alert"}, "level of de.peak: expected alert, found danger"),
    "not_ok": (["de.peak"], "NOT OK: expected ('de.peak',), found ()"),
    "value": ({"de.peak": [1, 2]}, "value of de.peak: expected 1 to 2, found 14"),
    "zone": ({"de.peak": "D"}, "zone of de.peak: expected D, found"),
    "reason": ({"de.peak": "clip"}, "reason of de.peak: expected 'clip', found ''"),
    "latched": ([], "latched: expected (), found ('de.peak', 'gear.peak')"),
    "shelved": (["de.peak"], "shelved: expected ('de.peak',), found ()"),
    "unacknowledged": ([], "unacknowledged: expected (), found ('de.peak', 'gear.peak')"),
    "first_out": ("gear.peak", "first out: expected gear.peak, found de.peak"),
    "because": (["starting"], "because: expected ('starting',), found ('tripped',)"),
    "bypassed": (True, "bypassed: expected True, found False"),
    "bypass_left_s": ([0, 9], "s left of the bypass: expected 0 to 9, found None"),
    "bypasses": (1, "bypasses: expected 1, found 0"),
    "multiplying": (True, "multiplying: expected True, found False"),
    "group": ({"casing": {"need": 1}}, "group casing: expected Group(need=1"),
}


def test_every_expectation_has_a_wrong_one_here() -> None:
    assert set(WRONG) == set(Expect.__struct_fields__)


def played(folder: Path, **other: object) -> str:
    return Stage(of(SOUND | other), folder).play()


def test_each_wrong_expectation_fails_where_it_stands(tmp_path: Path) -> None:
    wrong = [{"at_s": 20, "expect": {field: value}} for field, (value, _) in WRONG.items()]
    report = played(tmp_path, step=[*SOUND["step"], *wrong])
    assert [found for _, found in WRONG.values() if f"   20.00 s ✗ {found}" not in report] == []
    assert report.count("✗") == 1 + len(WRONG)
    assert "   16.10 s   trip.fired de.peak" in report


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("relay", SOUND["relay"][:1]),
        ("relay", [SOUND["relay"][0], SOUND["relay"][1] | {"between_s": [16.2, 20]}]),
        ("relay", [SOUND["relay"][0], SOUND["relay"][1] | {"becomes": "energised"}]),
        ("events", SOUND["events"][:-1]),
        ("events", [*SOUND["events"], "alarm.cleared de.peak"]),
        ("events", SOUND["events"][::-1]),
    ],
)
def test_another_relay_or_other_events_fail(tmp_path: Path, key: str, wrong: object) -> None:
    assert f"✗ {key}" in played(tmp_path, **{key: wrong})


@pytest.mark.parametrize(
    ("refused", "do", "found"),
    [
        ("", {"bypass": {"who": "", "why": "", "duration_s": 9}}, "answer: expected granted"),
        ("no channel", {"bypass": {"who": "", "why": "", "duration_s": 9}}, "expected refused: no channel"),
        ("Danger", {"bypass": {"who": "a", "why": "b", "duration_s": 9}}, "expected refused: Danger"),
    ],
)
def test_another_answer_fails(tmp_path: Path, refused: str, do: object, found: str) -> None:
    steps = [{"at_s": 1, "do": do, "refused": refused}]
    assert found in played(tmp_path, step=steps)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([{"at_s": 1, "expected": {}}], "step 1, at_s = 1: Object contains unknown field `expected`"),
        ([{"at_s": 2}, {"at_s": 1}], "step at 1 s comes after one at 2 s"),
        ([{"at_s": 1, "signal": {"dee": {}}}], "signal.dee at 1 s: expected one of de, nde, gear"),
        ([{"at_s": 1, "signal": {"de": {"degc": 20}}}], "signal.de at 1 s: Object contains unknown field"),
        ([{"at_s": 1, "model": {"dee": {}}}], "model.dee at 1 s: expected one of de, nde, gear"),
        ([{"at_s": 1, "do": {}}], "0 things to do at once"),
        ([{"at_s": 1, "do": {"restart": {"away_s": 9}}}, {"at_s": 5}], "while the guard is away until 10 s"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused_in_words(tmp_path: Path, steps: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        played(tmp_path, step=steps)
