"""What is asked of a guard from the command line: times, the question before a proof test, who is heard."""

import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import wire
from appliance.cli import main
from appliance.desk import requests
from appliance.errors import ApplianceError


@pytest.mark.parametrize(
    ("text", "found_s"), [("90s", 90.0), ("30m", 1800.0), ("2h", 7200.0), ("1.5h", 5400.0)]
)
def test_times_as_people_write_them(text: str, found_s: float) -> None:
    assert requests.seconds(text) == found_s


@pytest.mark.parametrize(
    "text", ["", "30", "0m", "-5m", "m", "1d", "30 m", "1e3s", "nan", "infh", "٣m", "30m\n"]
)
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ApplianceError, match="expected a time above 0; write it as 90s, 30m or 2h"):
        requests.seconds(text)


@given(st.floats(0.001, 1e6), st.sampled_from("smh"))
def test_a_time_is_its_number_of_units(number: float, unit: str) -> None:
    assert (
        requests.seconds(f"{number:.3f}{unit}") == float(f"{number:.3f}") * {"s": 1, "m": 60, "h": 3600}[unit]
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "appliance.toml"
    path.write_text('run_dir = "run"\nstate_dir = "state"\n')
    return path


@pytest.mark.parametrize("typed", ["", "\n", "no\n", "y\n", "yes please\n"])
def test_without_a_yes_no_proof_test_is_asked_for(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    """No guard runs: had it been asked, that would be told."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert main(["prooftest", str(config), "--who", "anna", "--why", "yearly"]) == 1
    shown = capsys.readouterr()
    assert "the machine stops" in shown.err
    assert shown.out == "nothing was asked of the guard\n"


@pytest.mark.parametrize(
    "words", [["bypass", "--for", "soon"], ["shelve", "de.rms", "--for", "0h"], ["bypass", "--for", "1w"]]
)
def test_a_time_that_is_none_is_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main([*words, "--who", "anna", "--why", "probe"]) == 1
    assert capsys.readouterr().err.startswith(f"--for {words[-1]}: expected a time")


@pytest.mark.parametrize(
    "words", [["bypass"], ["bypass", "--for", "1h", "--end"], ["shelve", "--end"], ["reset"]]
)
def test_half_a_request_is_none(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--who", "anna", "--why", "probe"] if words != ["reset"] else words)
    assert ended.value.code == 2
    assert "usage: appliance" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root is always heard")
def test_who_may_not_speak_to_the_guard_is_told_who_may(config: Path) -> None:
    path = config.parent / "run" / "guard.sock"
    listener = wire.Listener(path)
    path.chmod(0)
    with pytest.raises(
        ApplianceError, match="the guard hears root, its own user and group; ask as one of them"
    ):
        requests.state(config)
    listener.close()
