"""`appliance selftest` on simulated chips, a real broker and a real guard: what is broken is named."""

import json
import os
import pty
import re
import subprocess
import sys
import time

import pytest
from appliance_processes import ROOT, Folder, end, eventually
from fake_tpu import VARIABLE, FakeTpu
from real_broker import free_port

from appliance.analysis import slots
from appliance.cli import main
from appliance.daemon import EPOCH_VARIABLE
from appliance.desk.selftest import death
from appliance.guard.lock import only_guard
from appliance.pins import GpioRelay, SimRelay
from hw import board

GOOD = """state_dir = "state"
run_dir = "run"
[simulation]
speed = 20.0
[[vibration]]
name = "de"
driver = "lsm6dso"
bus = "sim:i2c"
clock_ppm = 12000.0
{de}
[[vibration]]
name = "box"
driver = "sim"
{box}
[[temperature]]
name = "bearing"
driver = "tmp117"
bus = "sim:i2c"
{bearing}
[relay]
driver = "sim"
edges = "{edges}"
contact = "{contact}"
[uplink]
enabled = {uplink}
port = {port}
"""
MORE_CHIPS = """[[vibration]]
name = "nde"
driver = "adxl345"
bus = "sim:i2c"
[[vibration]]
name = "gear"
driver = "lis3dh"
bus = "sim:i2c"
[[temperature]]
name = "oil"
driver = "mcp9808"
bus = "sim:i2c"
[[transmitter]]
name = "pump"
port = "sim"
map = "qm30vt2"
"""


def trouble(kind, start_s=0.0):
    return f'troubles = [{{ kind = "{kind}", start_s = {start_s} }}]'


@pytest.fixture
def write(tmp_path):
    def one(more="", **how):
        values = {"de": "", "box": "", "bearing": "", "edges": "edges.jsonl", "contact": "sound"}
        values |= {"uplink": "false", "port": 1883}
        path = tmp_path / "appliance.toml"
        path.write_text(GOOD.format(**values | how) + more)
        return path

    return one


@pytest.fixture
def tried(capsys):
    def one(config, *options):
        status = main(["selftest", str(config), "--json", *(options or ("--dry",))])
        report = json.loads(capsys.readouterr().out)
        assert report["ok"] is (status == 0)
        return status, {f["what"]: (f["verdict"], f["words"]) for f in report["findings"]}

    return one


def at_terminal(config, answer):
    """The command at a terminal where a person types `answer`; its status and page."""
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    command = [sys.executable, "-m", "appliance", "selftest", str(config)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, stdin=theirs, capture_output=True, text=True, timeout=30, env=environment, check=False
    )
    os.close(ours)
    os.close(theirs)
    return done.returncode, done.stdout


def test_a_good_machine_is_all_ok(write, tried, mosquitto):
    status, found = tried(write(MORE_CHIPS, uplink="true", port=mosquitto().port))
    assert status == 0
    checked = ["vibration de", "vibration box", "vibration nde", "vibration gear", "broker", "disk"]
    checked += ["temperature bearing", "temperature oil", "transmitter pump"]
    assert {what: found[what][0] for what in checked} == dict.fromkeys(checked, "ok")
    words = found["vibration de"][1]
    assert words.startswith("LSM6DSO at 0x6a, 337")
    assert "gravity 1.00 g mostly on +z" in words
    assert words.endswith("0 lost")
    ppm = float(words.split("(")[1].split(" ppm")[0])
    assert ppm == pytest.approx(12_000, abs=500)
    assert found["model de"] == ("note", "none yet; it is learnt from normal running")
    assert found["relay"] == ("note", "not moved (--dry)")


@pytest.mark.parametrize(
    ("where", "kind", "start_s", "what", "reason"),
    [
        ("de", "nack", 0.0, "vibration de", "no acknowledge"),
        ("de", "swapped", 0.0, "vibration de", "expected"),
        ("de", "stuck_sda", 0.5, "vibration de", "SDA"),
        ("box", "fallen", 1.0, "vibration box", "turned by 90°"),
        ("box", "stuck", 0.5, "vibration box", "an axis does not move"),
        ("box", "clip", 0.5, "vibration box", "full scale reached"),
        ("box", "dropout", 0.5, "vibration box", "samples missing"),
        ("bearing", "nack", 0.0, "temperature bearing", "no acknowledge"),
        ("bearing", "swapped", 0.0, "temperature bearing", "expected"),
    ],
)
def test_a_broken_sensor_is_named(write, tried, where, kind, start_s, what, reason):
    status, found = tried(write(**{where: trouble(kind, start_s)}))
    assert status == 1
    assert [name for name, (verdict, _) in found.items() if verdict == "FAIL"] == [what]
    assert reason in found[what][1]


def test_a_transmitter_says_what_it_measures(write, tried, tmp_path):
    found = tried(write(MORE_CHIPS))[1]["transmitter pump"]
    assert found[0] == "ok"
    assert found[1].startswith("qm30vt2, slave 1 on sim: z-velocity-rms 0.")
    assert re.search(r"z-kurtosis \d\.\d+, x-kurtosis", found[1]), found[1]
    assert not (tmp_path / "run" / "pump.tty").exists(), "it lives as long as the test"


def test_a_transmitter_that_is_not_there(write, tried):
    config = write('[[transmitter]]\nname = "pump"\nport = "/dev/absent"\nmap = "qm30vt2"\n')
    config.write_text(config.read_text().replace("speed = 20.0", "speed = 1.0"))
    status, found = tried(config)
    assert (status, found["transmitter pump"][0]) == (1, "FAIL")
    assert "/dev/absent: No such file or directory" in found["transmitter pump"][1]


def test_the_simulated_machine_is_the_one_that_runs(write, tried, monkeypatch):
    """At 20 times real time it was switched on a minute ago: the trouble of its first 20 min is over."""
    config = write(de='troubles = [{ kind = "nack", end_s = 1200.0 }]')
    assert tried(config)[1]["vibration de"][0] == "FAIL"
    monkeypatch.setenv(EPOCH_VARIABLE, str(time.monotonic_ns() - 65 * 10**9))
    assert tried(config)[1]["vibration de"][0] == "ok"


def test_a_broker_that_is_not_there(write, tried):
    status, found = tried(write(uplink="true", port=free_port()))
    assert status == 1
    assert found["broker"][0] == "FAIL"
    assert "refused" in found["broker"][1]


def test_a_broker_that_does_not_want_us(write, tried, mosquitto):
    status, found = tried(write(uplink="true", port=mosquitto("allow_anonymous false").port))
    assert status == 1
    assert found["broker"][0] == "FAIL"
    assert "Not authorized" in found["broker"][1]


def test_a_state_dir_that_is_a_file(write, tried, tmp_path):
    (tmp_path / "state").write_text("")
    status, found = tried(write())
    assert status == 1
    assert found["disk"][0] == "FAIL"
    assert "set state_dir" in found["disk"][1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_state_dir_that_may_not_be_written(write, tried, tmp_path):
    (tmp_path / "state").mkdir(mode=0o555)
    status, found = tried(write())
    assert (status, found["disk"][0]) == (1, "FAIL")


LEARNT = "rate_hz = 2000\naxes = 2"
"""What the bundle of the fixture `pump` is made for."""


def test_the_model_is_verified(write, tried, tmp_path, pump):
    slots.install(pump.bundle, tmp_path / "state" / "bundles" / "box")
    status, found = tried(write(box=LEARNT))
    assert (status, found["model box"][0]) == (0, "ok")
    model = tmp_path / "state" / "bundles" / "box" / "active" / "model.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"\x55\x55")
    status, found = tried(write(box=LEARNT))
    assert (status, found["model box"][0]) == (1, "FAIL")
    assert "model.tflite" in found["model box"][1]


@pytest.mark.parametrize(
    ("sensor", "words"),
    [
        ("rate_hz = 6400\naxes = 2", "500 samples at 2000 Hz, found 500 at 6400 Hz"),
        ("rate_hz = 2000\naxes = 3", "made for 2 axes, found 3"),
    ],
)
def test_a_model_of_another_sensor(write, tried, tmp_path, pump, sensor, words):
    slots.install(pump.bundle, tmp_path / "state" / "bundles" / "box")
    status, found = tried(write(box=sensor))
    assert (status, found["model box"][0]) == (1, "FAIL")
    assert f"{words}; learn a baseline for this sensor" in found["model box"][1]


def accelerator(library):
    return f'[accelerator]\ndriver = "edgetpu"\nlibrary = "{library}"\nstart_s = 5.0\ndeadline_ms = 400\n'


def test_an_accelerator_that_is_not_there(write, tried, tmp_path, pump):
    absent = accelerator("/absent/libedgetpu.so")
    assert tried(write(absent))[1]["accelerator"] == ("note", "not checked: no model yet")
    slots.install(pump.bundle, tmp_path / "state" / "bundles" / "box")
    status, found = tried(write(absent, box=LEARNT))
    assert (status, found["accelerator"][0]) == (1, "FAIL")
    assert "/absent/libedgetpu.so" in found["accelerator"][1]


@pytest.mark.parametrize(
    ("does", "verdict", "words"),
    [
        ("ok", "ok", "golden vectors right"),
        ("corrupt", "FAIL", "steps off"),
        ("refuse", "FAIL", "no device"),
    ],
)
def test_an_accelerator_proves_itself(write, tried, tmp_path, pump, monkeypatch, does, verdict, words):
    fake = FakeTpu(tmp_path)
    monkeypatch.setenv(VARIABLE, fake.environment[VARIABLE])
    fake.do(does)
    slots.install(pump.bundle, tmp_path / "state" / "bundles" / "box")
    status, found = tried(write(accelerator(fake.path), box=LEARNT))
    assert (status == 0, found["accelerator"][0]) == (verdict == "ok", verdict)
    assert words in found["accelerator"][1]


def test_the_relay_moves_once_a_person_says_yes(write, tmp_path):
    status, page = at_terminal(write(), b"yes\n")
    assert status == 0
    assert "closed and dropped, both read back" in page
    edges = [json.loads(line)["energised"] for line in (tmp_path / "edges.jsonl").read_text().splitlines()]
    assert edges == [True, False]


def test_the_relay_stays_when_a_person_says_no(write, tmp_path):
    status, page = at_terminal(write(), b"y\n")
    assert status == 0
    assert "not moved: not allowed" in page
    assert not (tmp_path / "edges.jsonl").exists()


def test_a_relay_that_does_not_follow(write):
    status, page = at_terminal(write(edges="/dev/full"), b"yes\n")
    assert status == 1
    line = next(line for line in page.splitlines() if " relay " in line)
    assert line.startswith("FAIL")
    assert "No space left" in line
    assert page.endswith("1 failed\n")


@pytest.mark.parametrize(
    ("contact", "words"),
    [
        ("welded", "read back energised; expected de-energised; check its contact"),
        ("open", "read back de-energised; expected energised; check its contact"),
    ],
)
def test_a_contact_that_does_not_follow(write, tmp_path, contact, words):
    status, page = at_terminal(write(contact=contact), b"yes\n")
    assert status == 1
    line = next(line for line in page.splitlines() if " relay " in line)
    assert line.startswith("FAIL")
    assert words in line
    edges = [json.loads(line)["energised"] for line in (tmp_path / "edges.jsonl").read_text().splitlines()]
    assert edges == [True, False], "whatever the contact says, the coil is dropped in the end"


def pi(folder, *, keeps):
    """(model, root) of a Pi 4 whose kernel keeps released lines, or not."""
    (folder / "model").write_text("Raspberry Pi 4 Model B Rev 1.4\0")
    parameter = folder / board.load("pi4").held_by.lstrip("/")
    parameter.parent.mkdir(parents=True)
    parameter.write_text("Y\n" if keeps else "N\n")
    return folder / "model", folder


def test_a_kernel_that_keeps_a_dead_guards_line_is_told(tmp_path):
    here = pi(tmp_path, keeps=True)
    [found] = death(GpioRelay("pinctrl-bcm2711", 17), *here)
    assert (found.what, found.verdict) == ("relay at death", "FAIL")
    assert "set dtparam=strict_gpiod and restart, or wire the health toggle" in found.words
    [found] = death(GpioRelay("pinctrl-bcm2711", 17, health=27), *here)
    assert found.verdict == "note"
    assert death(SimRelay(), *here) == []


def test_a_kernel_that_lets_the_line_go_needs_no_words(tmp_path):
    assert death(GpioRelay("pinctrl-bcm2711", 17), *pi(tmp_path, keeps=False)) == []
    (tmp_path / "model").write_text("a desktop")
    assert death(GpioRelay("pinctrl-bcm2711", 17), tmp_path / "model", tmp_path) == []


def test_a_lock_without_a_guard_that_answers(write, tried, tmp_path):
    config = write()
    lock = only_guard(tmp_path / "run")
    status, found = tried(config)
    os.close(lock)
    assert status == 1
    assert "no guard answers" in found["guard"][1]
    assert "the running guard has it" in found["relay"][1]


def test_a_running_guard_is_asked_and_not_disturbed(tmp_path, tried):
    here = Folder(tmp_path)
    try:
        guard = here.start("guard")
        eventually(lambda: here.relay.exists() and here.energised(), what="an energised relay")
        eventually(lambda: any(c.blocks > 20 for c in here.state().clocks), what="samples")
        edges = here.relay.read_text()
        status, found = tried(here.config, "--dry")
        assert status == 0
        assert found["vibration de"][1].startswith("the guard says 6")
        assert "°C" in found["temperature bearing"][1]
        assert "stop it first" in found["relay"][1]
        assert here.relay.read_text() == edges
        assert here.energised()
        assert end(guard)[0] == 0
    finally:
        here.close()
