"""`appliance commission` at a terminal: stopped half-way, no guard, a sick sensor; the file it writes into.

The whole way from plugged in to guarded is `tools/commissioning --check` (tests/tools).
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import simulated
from appliance_processes import Folder, eventually, is_alive

from appliance import check
from appliance.cli import main
from appliance.desk import machine_class
from appliance.desk.screen import COLUMNS, Screen
from appliance.errors import ApplianceError, ConfigError

sys.path.insert(0, str(simulated.ROOT / "tools"))
from terminal import Terminal

CHOSEN = "pump, 15-300 kW, rigid"
STUCK = """state_dir = "state"
run_dir = "run"
temperature = []
[machine]
preset = "pump, 15-300 kW, rigid"
[simulation]
speed = 5
[[vibration]]
name = "de"
driver = "sim"
troubles = [{ kind = "stuck" }]
[uplink]
enabled = false
"""
AT_REST = "\nduty = [{ at_s = 0, speed = 0 }]"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Folder]:
    one = Folder(tmp_path)
    yield one
    one.close()


@pytest.fixture
def practice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a person's practice lies: a short path, since that of a socket may have 107 characters."""
    return tmp_path_factory.mktemp("p")


@pytest.fixture
def terminal(practice: Path) -> Iterator[Terminal]:
    """A person who practises."""
    command = [sys.executable, "-m", "appliance", "commission", "--simulate"]
    one = Terminal(command, practice, simulated.ENVIRONMENT | {"TMPDIR": str(practice)})
    yield one
    one.close()


def of_practice(folder: Path) -> list[int]:
    """Processes that run on a configuration in this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words and b"appliance.toml" in words and is_alive(int(entry.parts[2])):
            found.append(int(entry.parts[2]))
    return found


def test_stopped_before_anything_was_asked(terminal: Terminal) -> None:
    terminal.until("preset (empty: none):", 20.0)
    terminal.type("\x03")
    assert terminal.end(10.0) == 130
    assert "The simulated machine is switched off." in terminal.heard
    assert "Traceback" not in terminal.heard


def test_stopped_while_it_learns_ends_all_that_was_started(terminal: Terminal, practice: Path) -> None:
    terminal.until("preset (empty: none):", 20.0)
    terminal.type("\n")
    terminal.until("not now: the machine is off", 60.0)
    assert len(of_practice(practice)) == 3
    terminal.type("\x03")
    assert terminal.end(15.0) == 130
    assert "switched off" in terminal.heard
    assert "Traceback" not in terminal.heard
    eventually(lambda: not of_practice(practice), what="the end of all processes")
    shown = (line.replace("^C", "") for line in terminal.shown() if str(practice) not in line)
    assert max(len(line) for line in shown) <= COLUMNS


def test_without_a_guard_it_says_what_to_start(box: Folder) -> None:
    done = box.ask("commission")
    assert done.returncode == 1
    assert "no guard answers" in done.stderr
    assert "appliance run" in done.stderr


@pytest.mark.parametrize("act", ["--again", "--cancel"])
def test_a_wish_is_somebodys(box: Folder, act: str) -> None:
    done = box.ask("commission", act, "--who", "anna")
    assert done.returncode == 1
    assert "expected --who and --why" in done.stderr


def test_a_wish_needs_an_analysis_that_hears_it(box: Folder) -> None:
    box.start("guard")
    box.state()
    done = box.ask("commission", "--cancel", "--who", "anna", "--why", "changed my mind")
    assert done.returncode == 1
    assert "no analysis is connected" in done.stdout


def test_a_wish_that_somebody_takes_back_ends_the_watching(box: Folder) -> None:
    box.config.write_text(STUCK.replace("troubles", "# troubles").replace("speed = 5", f"speed = 5{AT_REST}"))
    box.start("guard")
    box.start("analysis")
    eventually(lambda: box.state().scores, what="a first window")
    watching = simulated.start("commission", box.config, "--again", "--who", "anna", "--why", "new bearing")
    try:
        eventually(lambda: "anna" in "".join(one.reason for one in box.state().scores), what="the wish")
        assert box.ask("commission", "--cancel", "--who", "bob", "--why", "not now").returncode == 0
        out, err = watching.communicate(timeout=10.0)
    finally:
        watching.kill()
    assert watching.returncode == 1
    assert "no new baseline is learnt" in out
    assert err == "bob took the new baseline back; ask again where it is wanted\n"


def test_a_sick_sensor_is_named_and_nothing_goes_on(box: Folder) -> None:
    box.config.write_text(STUCK)
    box.start("guard")
    box.state()
    done = box.ask("commission")
    assert done.returncode == 1
    assert re.search(r"FAIL +vibration de: .*stuck", done.stdout)
    assert "4  Learning" not in done.stdout


BEFORE = """# the pump in hall 1
[machine] # where it stands
asset = "pump-7"  # as on its plate

[[vibration]]
name = "de"
driver = "sim"
"""


def test_the_preset_goes_behind_its_header_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    path.write_text(BEFORE)
    path.chmod(0o640)
    config = machine_class.write(path, CHOSEN)
    assert path.read_text() == BEFORE.replace("stands\n", f'stands\npreset = "{CHOSEN}"\n')
    assert config == check.load(path)
    assert config.machine.preset == CHOSEN
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_without_the_table_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    path.write_text('temperature = []\n[[vibration]]\nname = "de"\ndriver = "sim"')
    assert machine_class.write(path, CHOSEN).machine.preset == CHOSEN
    assert path.read_text().endswith(f'driver = "sim"\n\n[machine]\npreset = "{CHOSEN}"\n')


@pytest.mark.parametrize(
    "text",
    [
        'machine = { asset = "pump-7" }\n',
        'machine.asset = "pump-7"\n',
        '[[vibration]]\nname = "de"\ndriver = "sim"\nrate_hz = 1600\n',
    ],
    ids=["inline", "dotted", "too slow for zones"],
)
def test_a_file_that_it_would_spoil_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "box.toml"
    path.write_text(text)
    try:
        assert machine_class.write(path, CHOSEN).machine.preset == CHOSEN
    except (ApplianceError, ConfigError):
        assert path.read_text() == text
    else:
        assert "rate_hz" not in text
    assert list(tmp_path.iterdir()) == [path]


def test_where_nobody_types_it_only_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "box.toml"
    path.write_text("")
    with (tmp_path / "empty").open("w+") as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        config = machine_class.choose(path, check.load(path), "now", Screen())
    assert config.machine.preset == ""
    shown = capsys.readouterr().out
    assert "Kinds: pump, motor" in shown
    assert "none chosen" in shown
    assert path.read_text() == ""


def test_only_words_that_change_are_a_new_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    for windows in range(5):
        screen.follow("de", f"0:0{windows}", f"{windows} of 40 windows")
        screen.follow("nde", f"0:0{windows}", "not now: off" if windows < 3 else "running")
    shown = capsys.readouterr().out.splitlines()
    assert shown == ["  0:00  0 of 40 windows", "  0:00  not now: off", "  0:03  running"]
    screen.line("word " * 40)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= COLUMNS


def test_the_commands_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["commission", "--simulate", "--again"])
    assert "not allowed with" in capsys.readouterr().err
