"""The units: systemd accepts them, they are closed, and they say what the processes rely on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.guard import realtime

UNITS = Path(__file__).resolve().parents[2] / "systemd"
PROCESSES = ("guard", "analysis", "uplink")
PROGRAM = "/opt/appliance/bin/appliance"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (apt install systemd)"
)


def settings(name: str) -> dict[str, list[str]]:
    """The keys of a unit, each with every value it is given, in order."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        if line and line[0] not in "#[":
            key, separator, value = line.partition("=")
            assert separator, f"{name}: {line!r} is no setting"
            found.setdefault(key, []).append(value)
    return found


def service(process: str) -> dict[str, list[str]]:
    return settings(f"appliance-{process}.service")


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """Copies of the units whose program exists."""
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.target")):
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, sys.executable))
    return sorted(tmp_path.iterdir())


@needs_systemd
def test_systemd_accepts_them_without_a_word(installed: list[Path]) -> None:
    command = ["systemd-analyze", "verify", *map(str, installed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in done.stderr.splitlines() if "appliance" in line]
    assert (done.returncode, said) == (0, [])


@needs_systemd
@pytest.mark.parametrize("process", PROCESSES)
def test_exposure_is_at_most_two(process: str, installed: list[Path]) -> None:
    [unit] = [path for path in installed if path.name == f"appliance-{process}.service"]
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_is_watched_and_restarted_for_ever(process: str) -> None:
    unit = service(process)
    assert unit["ExecStart"] == [f"{PROGRAM} {process} /etc/appliance/appliance.toml"]
    assert unit["Type"] == ["notify"]
    assert unit["NotifyAccess"] == ["main"]
    assert unit["Restart"] == ["always"]
    assert unit["RestartPreventExitStatus"] == ["78"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert unit["TimeoutStopSec"] == ["5"]
    assert int(unit["WatchdogSec"][0]) <= {"guard": 5, "analysis": 30, "uplink": 60}[process]
    assert not {"Requires", "BindsTo", "Requisite"} & unit.keys(), "each process may fail alone"


@pytest.mark.parametrize("process", PROCESSES)
def test_they_share_folders_that_stay(process: str) -> None:
    unit = service(process)
    assert (unit["User"], unit["Group"]) == (["appliance"], ["appliance"])
    assert (unit["StateDirectory"], unit["RuntimeDirectory"]) == (["appliance"], ["appliance"])
    assert unit["RuntimeDirectoryPreserve"] == ["yes"]


def test_guard_has_real_time_and_its_devices() -> None:
    unit = service("guard")
    assert unit["CPUSchedulingPolicy"] == ["fifo"]
    assert int(unit["CPUSchedulingPriority"][0]) < int(unit["LimitRTPRIO"][0])
    assert unit["LimitMEMLOCK"] == ["infinity"]
    assert "RestrictRealtime" not in unit
    assert {"char-gpiochip rw", "char-i2c rw", "char-spi rw"} <= set(unit["DeviceAllow"])
    made = (UNITS / "sysusers.d" / "appliance.conf").read_text()
    for group in unit["SupplementaryGroups"][0].split():
        assert f"\ng {group} -" in made, f"without the group {group} the guard would not start"


def test_real_time_limit_covers_what_the_guard_asks_for() -> None:
    assert int(service("guard")["LimitRTPRIO"][0]) >= realtime._PRIORITY


def test_only_the_uplink_has_a_network() -> None:
    for process in ("guard", "analysis"):
        assert service(process)["PrivateNetwork"] == ["yes"]
        assert service(process)["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert "PrivateNetwork" not in service("uplink")
    assert {"AF_INET", "AF_INET6"} <= set(service("uplink")["RestrictAddressFamilies"][0].split())


def test_only_the_guard_has_devices() -> None:
    for process in ("analysis", "uplink"):
        assert service(process)["PrivateDevices"] == ["yes"]
        assert "DeviceAllow" not in service(process)
        assert "SupplementaryGroups" not in service(process)


def test_the_target_wants_all_three() -> None:
    wanted = settings("appliance.target")["Wants"][0].split()
    assert wanted == [f"appliance-{process}.service" for process in PROCESSES]
    assert all(service(process)["PartOf"] == ["appliance.target"] for process in PROCESSES)


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_user_and_folders_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for command in (
        ["systemd-sysusers", f"--root={tmp_path}", str(UNITS / "sysusers.d" / "appliance.conf")],
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create", str(UNITS / "tmpfiles.d" / "appliance.conf")],
    ):
        if Path(command[0]).name == "systemd-tmpfiles" and os.geteuid() != 0:
            pytest.skip("only root can give folders away")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    assert "appliance:" in (tmp_path / "etc" / "passwd").read_text()
    assert (tmp_path / "etc" / "appliance").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "var" / "lib" / "appliance").is_dir()
