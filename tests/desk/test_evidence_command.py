"""`appliance evidence …`: what a person sees of an alarm, and what is found where somebody changed it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from appliance_processes import Folder, end, eventually
from msgspec.structs import replace
from recorded_alarm import TEXT, recorded
from simulated import ENVIRONMENT

from appliance.cli import main
from appliance.desk import evidence_file, evidence_picture, evidence_words
from appliance.errors import ApplianceError
from hw.evidence import Track, write_evidence
from hw.recording import load


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a trip and an Alert."""
    folder = tmp_path_factory.mktemp("made")
    assert len(recorded(folder)) == 2
    return folder


@pytest.fixture
def box(made: Path, tmp_path: Path) -> Path:
    """A configuration with this evidence."""
    shutil.copytree(made, tmp_path / "state")
    config = tmp_path / "a.toml"
    config.write_text('state_dir = "state"\nrun_dir = "run"\n[evidence]\nmost_files = 4\n')
    return config


def names(box: Path) -> list[str]:
    """Trip, Alert: as the list names them."""
    files = sorted(
        (box.parent / "state" / "evidence").iterdir(), key=lambda path: int(path.name.split("-")[0])
    )
    return [path.name.removesuffix(".npz").removesuffix(".protected") for path in files]


def said(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    assert main(["evidence", *map(str, arguments)]) == status
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return out + err


def damage(box: Path) -> Path:
    """One byte of the waveform of the Alert."""
    path = box.parent / "state" / "evidence" / f"{names(box)[1]}.npz"
    data = bytearray(path.read_bytes())
    data[20_000] ^= 1
    path.write_bytes(data)
    return path


def test_the_list(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trip, alert = names(box)
    first, second = said(capsys, "list", box).splitlines()
    assert first.split()[0] == trip
    assert first.split()[-1] == "protected"
    assert "critical" in first
    assert second.split()[0] == alert
    assert second.split()[3] == "de.rms"
    assert second.split()[4] == "alarm"


def test_an_empty_box(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "a.toml"
    config.write_text('state_dir = "state"\nrun_dir = "run"\n')
    assert said(capsys, "list", config) == ""
    assert "expected a name or a file" in said(capsys, "show", "5-de.rms", config, status=1)


def test_an_alarm_in_words(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trip, _ = names(box)
    page = said(capsys, "show", trip, box)
    assert "alarm      machine: Danger on de.peak: 109 over 25 m/s²; relay dropped" in page
    assert "value      de.peak: 109.1 m/s², limit 25 m/s²" in page
    assert "relay      de-energised (tripped: latched until reset)" in page
    assert "since      DANGER from +0.00 s, first out, latched" in page
    assert "beside     +2.00 s  alarm.raised: machine: Alert on de.rms" in page
    assert "clock      de: 3200." in page
    assert "config     SHA-256 " in page
    assert "waveform   de: " in page


def test_a_state_from_before_the_verdict_is_not_shown_as_the_alarms(box: Path) -> None:
    """A score is judged later than it was measured: the guard may tell a state in between."""
    trip, _ = names(box)
    alarm = evidence_file.read(box.parent / "state" / "evidence" / f"{trip}.protected.npz")
    at_ns, states = alarm.meta["at_mono_ns"], alarm.record.states
    unaware = replace(states[0], at_mono_ns=at_ns)
    record = replace(alarm.record, states=(unaware, *(one for one in states if one.at_mono_ns >= at_ns)))
    page = evidence_words.page(alarm._replace(record=record))
    assert "since      DANGER from +0.00 s, first out, latched" in page


def test_a_file_by_its_path_and_by_another_name_of_the_same_second(
    box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trip = names(box)[0]
    copy = tmp_path / "copy.npz"
    shutil.copy(box.parent / "state" / "evidence" / f"{trip}.protected.npz", copy)
    assert "Danger on de.peak" in said(capsys, "show", copy, box)
    head = {"names": ["7-de.rms", "7-de.score"], "at_utc_ns": 0}
    write_evidence(box.parent / "state" / "evidence" / "7-de.rms.npz", [], head)
    assert "expected evidence of an alarm" in said(capsys, "show", "7-de.score", box, status=1)


def test_the_picture(box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(names(box)):
        picture = tmp_path / f"{number}.png"
        said(capsys, "show", name, box, "--picture", picture)
        assert picture.read_bytes().startswith(b"\x89PNG")
    blocked = tmp_path / "a file"
    blocked.write_text("")
    assert "name a .png" in said(capsys, "show", name, box, "--picture", blocked / "p.png", status=1)


def test_what_the_picture_marks(made: Path) -> None:
    trip, _ = sorted((made / "evidence").iterdir())
    alarm = evidence_file.read(trip)
    wave, spectrum, envelope = evidence_picture.figure(alarm).axes
    assert [line.get_xdata()[0] for line in wave.get_lines()] == [0.0]  # the alarm
    assert wave.get_xlim()[0] < -7.9
    orders = [line.get_xdata()[0] * 60 / 1480 for line in spectrum.get_lines()[-3:]]
    assert orders == pytest.approx([1, 2, 3])
    assert [text.get_text() for text in envelope.texts] == ["BPFO", "BPFI", "2×BSF", "FTF"]
    broken = alarm._replace(config=b"[geometry]\nspeed_rpm = 'fast'\n")
    with pytest.raises(ApplianceError, match=r"config\.toml: .*speed_rpm"):
        evidence_picture.figure(broken)


def test_export(box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trip, _ = names(box)
    out = tmp_path / "out"
    said(capsys, "export", trip, out, box)
    assert {path.name for path in out.iterdir()} == {"de.wav", "alarm.json", "config.toml"}
    assert (out / "config.toml").read_bytes() == TEXT
    wav, evidence = load(out / "de.wav"), load(box.parent / "state" / "evidence" / f"{trip}.protected.npz")
    assert wav.rate_hz == round(evidence.rate_hz)
    assert np.allclose(wav.accel, evidence.accel, rtol=1e-5, atol=1e-6)
    whole = json.loads((out / "alarm.json").read_text())
    assert whole["head"]["names"] == [trip]
    [waveform] = whole["waveform"]
    assert waveform["samples"] == sum(waveform["blocks"]["n"]) == len(evidence.accel)
    assert waveform["rate_hz"] == evidence.rate_hz
    trips = [event for event in whole["record"]["events"] if event["type"] == "trip.fired"]
    assert [event["evidence"] for event in trips] == [trip]
    given = [one for part in whole["trace"] for _, inputs in part["steps"] for one in inputs]
    assert max(one["value"] for one in given if one.get("channel") == "de.peak") == pytest.approx(109, abs=60)
    assert whole["trace"][0]["rack"]["interlock"]["tripped"] is False
    (tmp_path / "file").write_text("")
    assert "expected a folder" in said(capsys, "export", trip, tmp_path / "file", box, status=1)


def test_protect(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trip, alert = names(box)
    assert "protected" in said(capsys, "protect", alert, box)
    assert said(capsys, "list", box).count("protected") == 2
    assert "protected" in said(capsys, "protect", trip, box)  # twice does no harm
    third = box.parent / "state" / "evidence" / "9-de.rms.npz"
    write_evidence(third, [Track("de", np.zeros((9, 1), np.int16), 1.0, 1000.0, 0)])
    assert "not protected; what is protected may be half" in said(
        capsys, "protect", "9-de.rms", box, status=1
    )
    assert third.is_file()


def test_verify_names_file_and_part(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "evidence: 2 files, 0 not as written" in said(
        capsys, "verify", box, status=1
    )  # no log: no guard ran
    path = damage(box)
    found = said(capsys, "verify", box, status=1)
    assert f"{path}: Bad CRC-32 for file 'de.counts.npy'" in found
    assert "evidence: 2 files, 1 not as written" in found


@pytest.mark.parametrize("what", ["list", "verify", "show 1-x", "protect NAME"])
def test_where_we_may_not_look_it_is_not_empty(box: Path, what: str) -> None:
    state, words = box.parent / "state", what.replace("NAME", names(box)[1])
    (state / "evidence").chmod(0o555 if "protect" in what else 0)
    command = [sys.executable, "-m", "appliance", "evidence", *words.split(), str(box)]
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    try:
        done = subprocess.run(
            [*unprivileged, *command],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=30,
            check=False,
        )
    finally:
        (state / "evidence").chmod(0o755)
    assert done.returncode == 1
    assert "Permission denied; ask as root or as the appliance's user" in done.stderr
    assert done.stderr.count("\n") == 1


def test_damaged_evidence_is_told_and_never_a_traceback(
    box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = damage(box)
    for what in (["show", path], ["export", path, box.parent / "out"]):
        assert "de.counts.npy" in said(capsys, *what, box, status=1)
    path.write_bytes(path.read_bytes()[:5000])
    assert "DAMAGED: " in said(capsys, "list", box)
    assert "intact evidence" in said(capsys, "show", path, box, status=1)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    one = Folder(tmp_path)
    yield one
    one.close()


def test_of_the_running_appliance(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """Guard and analysis as processes: what they keep replays bit for bit, and everything verifies."""
    folder.write(fault=(60.0, 60.0))
    guard, analysis = folder.start("guard"), folder.start("analysis")
    eventually(lambda: "evidence " in folder.log("analysis"), 30.0, "evidence")
    assert end(analysis)[0] == 0
    assert end(guard)[0] == 0
    files = list((folder.folder / "state" / "evidence").glob("*.npz"))
    assert files
    for file in files:
        status = main(["replay", str(file)])
        assert (status, capsys.readouterr().out.splitlines()[-1].rpartition(": ")[2]) == (0, "identical")
    out = said(capsys, "verify", folder.config)
    assert f"evidence: {len(files)} files, 0 not as written" in out
    head = out.partition("its end: ")[2].split()[0]
    assert "0 breaks" in said(capsys, "verify", folder.config, "--head", head)
    seq, _, digest = head.partition(":")
    assert "truncated" in said(
        capsys, "verify", folder.config, "--head", f"{int(seq) + 1}:{digest}", status=1
    )
