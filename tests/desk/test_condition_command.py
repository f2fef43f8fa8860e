"""`appliance condition` as typed; in a running box: tests/analysis/test_new_condition.py."""

from pathlib import Path

import pytest
from appliance_processes import Folder
from simulated import Learnt

from appliance.analysis import bundle as bundles
from appliance.analysis import provenance, signature, slots
from appliance.cli import main

WHO = ("--who", "anna", "--why", "new product")
TWO = 'run_dir = "run"\nstate_dir = "state"\n' + "".join(
    f'[[vibration]]\nname = "{name}"\ndriver = "sim"\n' for name in ("de", "nde")
)


@pytest.mark.parametrize("act", ["accept", "refuse"])
@pytest.mark.parametrize(("more", "said"), [((), "is missing"), (("--sensor", "fan"), "fan")])
def test_of_several_sensors_one_must_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], act: str, more: tuple[str, ...], said: str
) -> None:
    config = tmp_path / "appliance.toml"
    config.write_text(TWO)
    assert main(["condition", act, str(config), *WHO, *more]) == 1
    assert capsys.readouterr().err == f"--sensor {said}: expected one of de, nde\n"


@pytest.mark.parametrize("words", [("list",), ("accept", *WHO), ("refuse", *WHO, "--sensor", "nde")])
def test_without_a_guard_nothing_is_known_or_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    config = tmp_path / "appliance.toml"
    config.write_text(TWO.partition('[[vibration]]\nname = "nde"')[0] if len(words) < 6 else TWO)
    assert main(["condition", words[0], str(config), *words[1:]]) == 1
    assert "no guard answers" in capsys.readouterr().err


def test_an_answer_needs_who_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["condition", "accept", "--who", "anna"])
    assert "--why" in capsys.readouterr().err


def test_a_guard_without_analysis_says_so_and_journals_what_a_person_does_with_models(
    tmp_path: Path, pump: Learnt
) -> None:
    folder = Folder(tmp_path)
    try:
        folder.start("guard")
        folder.state()
        refused = folder.ask("condition", "accept", *WHO)
        assert (refused.returncode, refused.stderr) == (1, "")
        assert refused.stdout.startswith("refused: no analysis is connected")
        assert folder.ask("condition", "list").stdout == ""
        one, key = bundles.load(pump.bundle), signature.own_key(tmp_path / "state" / "device.key")
        slots.save(provenance.issue(one, key, serial=1), tmp_path / "mine")
        installed = folder.ask("model", "install", *WHO, str(tmp_path / "mine"))
        assert installed.returncode == 0, installed.stderr
        assert "model.installed machine: de: " in folder.log("guard")
    finally:
        folder.close()
