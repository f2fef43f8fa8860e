"""The rig: its kernel is found or its absence named, its machine obeys, and its watchdog bites."""

import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RIG = Path(__file__).resolve().parents[2] / "tools" / "rig"
sys.path.insert(0, str(RIG))

import boot  # noqa: E402
import debian  # noqa: E402
import initrd  # noqa: E402
import kernel  # noqa: E402
import pi  # noqa: E402
import powercut_guest  # noqa: E402
import vm  # noqa: E402

BUILT = kernel.built()
CI = os.environ.get("CI") == "true"
needs_kernel = pytest.mark.skipif(
    BUILT is None and not CI, reason="the rig's kernel is not built; run: tools/rig/rig build"
)
needs_pc = pytest.mark.skipif(
    vm.built() is None and not CI, reason="the rig's PC is not built; run: tools/rig/rig build --level 2"
)
needs_pi = pytest.mark.skipif(
    not all(debian.place(*packages).exists() for packages in (debian.QEMU, pi.SYSTEM)),
    reason="the rig's Raspberry Pi has not been fetched; run: tools/rig/rig pi",
)


def rig(*arguments: str, limit_s: float, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RIG / "rig"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=limit_s, check=False, env=os.environ | environment
    )


@pytest.mark.skipif(not all(map(shutil.which, kernel.TOOLS)), reason="not all of make, gcc, … are installed")
def test_without_the_kernels_source_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "SOURCES", tmp_path)
    assert kernel.built() is None
    with pytest.raises(kernel.RigError, match="run: apt-get install --no-install-recommends linux-source"):
        kernel.build()


def test_the_newest_source_is_taken_and_each_has_a_kernel_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "SOURCES", tmp_path)
    monkeypatch.setenv("RIG_CACHE", str(tmp_path / "cache"))
    for version in ("6.1", "6.12", "5.10"):
        (tmp_path / f"linux-source-{version}.tar.xz").write_bytes(b"")
    assert kernel.source().name == "linux-source-6.12.tar.xz"
    places = {kernel._place(kernel.source())}
    monkeypatch.setattr(kernel, "CONFIG", tmp_path / "another.config")
    (tmp_path / "another.config").write_text("CONFIG_64BIT=y\n")
    places.add(kernel._place(kernel.source()))
    assert len(places) == 2
    assert {place.parent for place in places} == {tmp_path / "cache"}


def test_an_option_that_kconfig_drops_is_told(tmp_path):
    (tmp_path / ".config").write_text(kernel.CONFIG.read_text().replace("CONFIG_GPIO_SIM=y", "# not set"))
    with pytest.raises(kernel.RigError, match="Kconfig dropped CONFIG_GPIO_SIM=y; add"):
        kernel._check_config(tmp_path / ".config")


def test_modules_stand_after_what_they_need_and_what_is_built_in_is_left_out(tmp_path):
    needs = {"g_serial": "libcomposite,usb-f-acm", "usb-f-acm": "libcomposite", "libcomposite": "configfs"}
    for name, depends in needs.items():
        content = b"\x7fELF\0depends=" + depends.encode() + b"\0vermagic=6.1\0"
        (tmp_path / f"{name}.ko.xz").write_bytes(lzma.compress(content))
    found = initrd.modules([tmp_path], ["g-serial", "libcomposite", "i2c_core"])
    assert list(found) == ["libcomposite", "usb_f_acm", "g_serial"]
    assert found["libcomposite"].startswith(b"\x7fELF")


@needs_kernel
def test_the_exit_status_and_the_words_come_out():
    heard: list[str] = []
    outcome = boot.boot(
        BUILT, ["/bin/sh", "-c", "echo $GREETING; exit 7"], {"GREETING": "hello"}, 30.0, heard.append
    )
    assert (outcome.status, outcome.boots) == (7, 1)
    assert "hello" in heard


@needs_kernel
def test_the_hosts_files_are_read_only_inside():
    target = Path(__file__).with_name("written_by_the_rig")
    outcome = boot.boot(BUILT, ["/bin/sh", "-c", f"echo x > {target}"], {}, 30.0)
    assert outcome.status != 0
    assert not target.exists()


@needs_kernel
def test_a_machine_that_does_not_end_is_cut_off():
    started: set[str] = set()
    begin_s = time.monotonic()
    with pytest.raises(boot.RigError, match=r"still up after 3 s, cut off; its last words:\n(?s:.*)waiting"):
        boot.boot(
            BUILT,
            ["/bin/sh", "-c", "echo waiting; sleep 60"],
            {},
            3.0,
            lambda _: started.update(machines(os.getpid())),
        )
    assert time.monotonic() - begin_s < 10.0
    assert started
    gone(started)


def machines(parent: int) -> set[str]:
    """The rig's kernels that this process has started, each the leader of a session."""
    listed = subprocess.run(["ps", "-eo", "ppid,pid,args"], capture_output=True, text=True, check=True).stdout
    rows = (line.split(maxsplit=2) for line in listed.splitlines())
    return {pid for ppid, pid, args in rows if ppid == str(parent) and str(BUILT.linux) in args}


def gone(sessions: set[str]) -> None:
    """Nothing is left of these machines: each process inside is one outside, and takes a moment to end."""
    end_s = time.monotonic() + 5.0
    left = ["ps", "-o", "pid,stat,args", "--no-headers", "--sid", ",".join(sessions)]
    while listed := subprocess.run(left, capture_output=True, text=True, check=False).stdout:
        assert time.monotonic() < end_s, listed
        time.sleep(0.05)


@needs_kernel
@pytest.mark.slow
def test_the_drivers_on_the_kernels_own_hardware():
    contract = ("tests/hw/contract/test_relay.py", "tests/hw/contract/test_input.py")
    done = rig("run", "tests/hw/kernel", *contract, limit_s=200.0)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    passed = re.findall(r"(\d+) passed", done.stdout)  # of each port, and of all
    assert int(passed[-1]) >= 45  # without rpi-lgpio; with it 55
    assert "failed" not in done.stdout


@needs_kernel
@pytest.mark.slow
def test_a_hung_guard_is_ended_by_the_watchdog():
    done = rig("watchdog", limit_s=90.0)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    energised, hangs = said.index("fed for 8 s; relay energised: True"), said.index("the guard hangs")
    reset = said.index("the watchdog reset the machine; it came back")
    assert energised < hangs < reset
    assert "rig: 2 boots, exit status 0" in said


@needs_kernel
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_what_it_started(number):
    command = [sys.executable, str(RIG / "rig"), "watchdog"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        end_s = time.monotonic() + 10.0
        while not (machine := machines(started.pid)):
            assert time.monotonic() < end_s, "no machine after 10 s"
            time.sleep(0.05)
        started.send_signal(number)
        _, said = started.communicate(timeout=10)
    assert started.returncode == 130
    assert "everything it started is ended" in said
    gone(machine)


class Crashing:
    """A machine whose emulator aborts before it is up, so many times."""

    modules = ()

    def __init__(self, folder: Path, times: int) -> None:
        self._left = [folder / str(n) for n in range(times)]
        for one in self._left:
            one.touch()

    def shared(self, _scratch):
        return "none", "none", ""

    def command(self, init, _options, **_):
        crash = " ".join(f"if rm {one} 2>/dev/null; then kill -ABRT $$; fi;" for one in self._left)
        return ["sh", "-c", f"{crash} echo 1 > {init.parent}/boots; echo 0 > {init.parent}/status"]


@pytest.mark.parametrize(("times", "boots"), [(0, 1), (boot.CRASHES, 1), (boot.CRASHES + 1, 0)])
def test_an_emulator_that_aborts_before_the_machine_is_up_is_started_again(tmp_path, times, boots):
    outcome = boot.boot(Crashing(tmp_path, times), ["true"], {}, 10.0)
    assert (outcome.status, outcome.boots) == (0 if boots else None, boots)


@needs_pc
@pytest.mark.slow
def test_alerts_that_were_accepted_outlive_a_power_cut():
    done = rig("powercut", "2", limit_s=400.0)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.search(
        r"2 power cuts: reported accepted (\d+), found (\d+), lost 0$", done.stdout, re.MULTILINE
    )
    assert counts, done.stdout
    assert int(counts[2]) >= int(counts[1]) > 1


def test_a_power_cut_that_took_alerts_along_would_be_seen(tmp_path, monkeypatch, capsys):
    """The look after a start, at a store and a log that lack what was reported."""
    for name, path in (("STORE", "events.db"), ("LOG", "log")):
        monkeypatch.setattr(powercut_guest, name, tmp_path / path)
    reported = tmp_path / "reported"
    reported.write_text("1 a-1\n2 a-2\n")
    powercut_guest.look(reported)
    assert capsys.readouterr().out.splitlines()[-1] == "found 0 alerts, lost 2, log breaks 0"


@needs_pc
@pytest.mark.slow
def test_where_level_1_does_not_boot_level_2_runs_the_tests(tmp_path, monkeypatch):
    """A kernel that ends at once in place of User Mode Linux; the PC is the real one."""
    for packages in (debian.QEMU, vm.KERNEL):
        real = debian.place(*packages)
        (tmp_path / real.name).symlink_to(real)
    monkeypatch.setenv("RIG_CACHE", str(tmp_path))
    broken = kernel._place(kernel.source())
    broken.mkdir()
    shutil.copy("/bin/true", broken / "linux")
    (broken / "i2c-stub.ko").touch()
    done = rig("run", "tests/hw/kernel/test_kernel_serial.py", limit_s=200.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "level 1 cannot be had, so level 2" in done.stdout
    assert "4 passed" in done.stdout


@needs_kernel
@pytest.mark.slow
def test_hours_of_virtual_time_without_the_broker_lose_nothing():
    done = rig("day", "0.02", limit_s=200.0)
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"accepted (\d+), delivered (\d+), lost 0", done.stdout)
    assert counted, done.stdout
    assert counted[1] == counted[2]
    assert int(counted[1]) >= 7


@needs_kernel
@pytest.mark.slow
def test_two_days_and_boots_without_the_broker_are_told_in_order():
    done = rig("month", "2", limit_s=400.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rig: 2 boots, exit status 0" in done.stdout
    assert re.search(r"accepted 15, delivered 15; late 2 trips, then 11 alarms, .* in order", done.stdout)


def test_days_that_are_no_number_are_refused():
    for command, words, expected in (
        ("day", "a week", "a number of days above 0"),
        ("month", "a week", "a whole number of days above 1"),
        ("month", "1", "a whole number of days above 1"),
    ):
        done = rig(command, words, limit_s=20.0)
        assert done.returncode == 1
        assert f"{words!r}: expected {expected}" in done.stderr


@needs_pi
@pytest.mark.slow
def test_a_raspberry_pi_reads_and_drives_what_is_outside_of_it():
    done = rig("pi", limit_s=300.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "set to -12.5 °C, hw.lm75 reads -12.5 °C" in done.stdout
    assert "8 of 8 as expected" in done.stdout
