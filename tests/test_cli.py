"""Bad input through the command line: one clear line that names the file, status 1 or 78, nothing changed."""

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import simulated
import tomli_w
from simulated import ENVIRONMENT, Learnt

import appliance
from appliance.analysis import bundle as bundles
from appliance.cli import main
from appliance.errors import EX_CONFIG
from hw.csvfile import write_csv
from hw.evidence import Track, write_evidence
from hw.wav import write_wav

CUT = ("--window-s", "0.25")
Spoil = Callable[[Path], Path]


def contents(folder: Path) -> dict[str, bytes | None]:
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def truncated_wav(folder: Path) -> Path:
    path = folder / "bad.wav"
    write_wav(path, np.ones((5000, 2), np.float32), 2000)
    path.write_bytes(path.read_bytes()[:-1234])
    return path


def all_nan_csv(folder: Path) -> Path:
    path = folder / "bad.csv"
    write_csv(path, np.full((5000, 2), np.nan, np.float32), 2000, ("x", "y"))
    return path


def all_nan_wav(folder: Path) -> Path:
    path = folder / "bad.wav"
    write_wav(path, np.full((5000, 2), np.nan, np.float32), 2000)
    return path


def text(suffix: str, words: bytes) -> Spoil:
    def spoil(folder: Path) -> Path:
        path = folder / f"bad{suffix}"
        path.write_bytes(words)
        return path

    return spoil


def missing(folder: Path) -> Path:
    return folder / "missing.wav"


def a_folder(folder: Path) -> Path:
    path = folder / "bad.wav"
    path.mkdir()
    return path


def wav_of_another_rate(folder: Path) -> Path:
    path = folder / "bad.wav"
    write_wav(path, simulated.accel(4000, 2, 5), 4000)
    return path


def wav_of_three_axes(folder: Path) -> Path:
    path = folder / "bad.wav"
    write_wav(path, simulated.accel(2000, 3, 5), 2000)
    return path


def wav_of_four_channels(folder: Path) -> Path:
    path = folder / "bad.wav"
    write_wav(path, np.zeros((5000, 4), np.float32), 2000)
    return path


def too_short(folder: Path) -> Path:
    path = folder / "bad.wav"
    write_wav(path, simulated.accel(2000, 2, 0.2), 2000)
    return path


def two_samples(folder: Path) -> Path:
    path = folder / "bad.wav"
    write_wav(path, np.ones((2, 2), np.float32), 2000)
    return path


def constant(folder: Path) -> Path:
    path = folder / "bad.wav"
    write_wav(path, np.full((20_000, 2), 3.3, np.float32), 2000)
    return path


def huge(folder: Path) -> Path:
    path = folder / "bad.csv"
    noise = np.random.default_rng(0).standard_normal((10_000, 2)) * 3e8
    write_csv(path, noise.astype(np.float32), 2000, ("x", "y"), "m/s2")
    return path


def loud(folder: Path) -> Path:
    path = folder / "bad.csv"
    noise = np.random.default_rng(0).standard_normal((10_000, 2)) * 1e7
    write_csv(path, noise.astype(np.float32), 2000, ("x", "y"), "m/s2")
    return path


def few_windows(folder: Path) -> Path:
    path = folder / "bad.wav"
    write_wav(path, simulated.accel(2000, 2, 2), 2000)
    return path


def foreign_npz(folder: Path) -> Path:
    path = folder / "bad.npz"
    np.savez(path, x=np.ones(5))
    return path


def torn_npz(folder: Path) -> Path:
    path = folder / "bad.npz"
    write_evidence(path, [Track("de", np.ones((500, 2), np.int16), 0.01, 2000.0, 0)])
    path.write_bytes(path.read_bytes()[:-200])
    return path


def bare_csv(folder: Path) -> Path:
    path = folder / "bad.csv"
    np.savetxt(path, simulated.accel(2000, 2, 10), delimiter=",")
    return path


ANY: dict[str, tuple[Spoil, tuple[str, ...], str]] = {
    # name: (what is wrong, options, words of the message); wrong for learn, score and replay alike
    "truncated WAV": (truncated_wav, (), "truncated|copy it again"),
    "CSV of NaN": (all_nan_csv, (), "holds no number"),
    "empty WAV": (text(".wav", b""), (), "no RIFF"),
    "empty CSV": (text(".csv", b""), (), "no rows"),
    "empty evidence": (text(".npz", b""), (), "expected an intact evidence"),
    "text in a WAV": (text(".wav", b"hello world, this is no sound at all"), (), "no RIFF"),
    "prose in a CSV": (text(".csv", b"dear customer\nplease find\n"), (), "expected"),
    "an unknown suffix": (text(".mp3", b"ID3"), (), "expected one of .wav"),
    "missing": (missing, (), "No such file"),
    "a folder": (a_folder, (), "directory"),
    "foreign npz": (foreign_npz, (), "not evidence"),
    "torn npz": (torn_npz, (), "expected an intact evidence"),
    "four channels": (wav_of_four_channels, (), "expected 1 to 3"),
    "values no sensor gives": (huge, (), "accel"),
    "no rate": (bare_csv, (), "give the rate"),
    "rate zero": (bare_csv, ("--rate", "0", "--axes", "2"), "--rate 0"),
    "rate negative": (bare_csv, ("--rate", "-2000", "--axes", "2"), "--rate -2000"),
    "rate nan": (bare_csv, ("--rate", "nan", "--axes", "2"), "--rate nan"),
    "rate inf": (bare_csv, ("--rate", "inf", "--axes", "2"), "--rate inf"),
    "rate absurd": (bare_csv, ("--rate", "1e9", "--axes", "2"), "1e\\+09 Hz; expected 50 to 200000"),
    "rate too low": (bare_csv, ("--rate", "10", "--axes", "2"), "10 Hz; expected 50"),
    "rate against the file": (few_windows, ("--rate", "4000"), "the file says 2000 Hz"),
    "rate nan for a WAV": (few_windows, ("--rate", "nan"), "--rate nan"),
    "axes 0": (few_windows, ("--axes", "0"), "0 axes"),
    "axes 7": (few_windows, ("--axes", "7"), "7 axes"),
    "axes -1": (few_windows, ("--axes", "-1"), "-1 axes"),
    "more axes than columns": (few_windows, ("--axes", "3"), "2 data columns"),
}
LEARN: dict[str, tuple[Spoil, tuple[str, ...], str]] = {
    "WAV of NaN": (all_nan_wav, (), "0 s of samples"),
    "values no window can hold": (loud, (), "no usable window"),
    "too short": (too_short, (), "0.2 s of samples, expected a window of 0.25 s"),
    "two samples": (two_samples, (), "expected a window"),
    "too few windows": (few_windows, (), "15 windows of normal running, expected at least 25"),
    "constant": (constant, (), "no usable window of a running machine"),
    "window 0": (few_windows, ("--window-s", "0"), "--window-s 0: expected 0.1 to 60"),
    "window 1e9": (few_windows, ("--window-s", "1e9"), "--window-s 1e\\+09: expected 0.1 to 60"),
    "window nan": (few_windows, ("--window-s", "nan"), "--window-s nan"),
    "window negative": (few_windows, ("--window-s", "-1"), "--window-s -1"),
    "overlap 1": (few_windows, ("--overlap", "1"), "--overlap 1: expected 0 <= overlap < 1"),
    "overlap -1": (few_windows, ("--overlap", "-1"), "--overlap -1"),
    "overlap nan": (few_windows, ("--overlap", "nan"), "--overlap nan"),
    "seed -1": (few_windows, ("--seed", "-1"), "--seed -1"),
}
SCORE: dict[str, tuple[Spoil, tuple[str, ...], str]] = {
    "WAV of NaN": (all_nan_wav, (), "expected a window"),
    "another rate": (wav_of_another_rate, (), "4000 Hz and 2 axes, expected 2000 Hz and 2"),
    "another number of axes": (wav_of_three_axes, (), "2000 Hz and 3 axes, expected 2000 Hz and 2"),
    "one axis taken": (few_windows, ("--axes", "1"), "2000 Hz and 1 axes, expected 2000 Hz and 2"),
    "too short": (too_short, (), "0.2 s of samples, expected a window of 0.25 s"),
    "window 0": (few_windows, ("--window-s", "0"), "--window-s 0: bundle"),
    "another window": (few_windows, ("--window-s", "1.28"), "was learnt with windows of 0.25 s"),
    "window nan": (few_windows, ("--window-s", "nan"), "--window-s nan"),
    "overlap 1": (few_windows, ("--overlap", "1"), "--overlap 1"),
    "overlap -1": (few_windows, ("--overlap", "-1"), "--overlap -1"),
    "overlap nan": (few_windows, ("--overlap", "nan"), "--overlap nan"),
}


@pytest.fixture
def home(pump: Learnt, tmp_path: Path) -> Path:
    """A folder with a bundle in force and an old file of scores."""
    shutil.copytree(pump.bundle, tmp_path / "bundle")
    (tmp_path / "s.jsonl").write_text("old\n")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], home: Path, arguments: list[str], words: str) -> str:
    """Run it; it must fail with status 1 and one line with these words, and leave `home` as it was."""
    capsys.readouterr()
    was = contents(home)
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    last = shown.err.splitlines()[-1]
    assert re.search(words, last), last
    assert "Traceback" not in shown.err
    assert re.search(r"[;,] ", last), f"says not what to do: {last}"
    assert contents(home) == was
    return last


@pytest.mark.parametrize("name", [*ANY, *LEARN])
def test_learn_refuses(home: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    spoil, options, words = (LEARN | ANY)[name]
    path = spoil(home)
    out = str(home / "bundle")
    last = refused(capsys, home, ["learn", str(path), *CUT, *options, "--out", out], words)
    assert path.name in last or last.startswith("--")
    bundles.load(home / "bundle")


@pytest.mark.parametrize("name", [*ANY, *SCORE])
def test_score_refuses(home: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    spoil, options, words = (SCORE | ANY)[name]
    path = spoil(home)
    arguments = ["score", str(home / "bundle"), str(path), *options, "--jsonl", str(home / "s.jsonl")]
    last = refused(capsys, home, arguments, words)
    assert path.name in last or last.startswith("--")


@pytest.mark.parametrize("name", [*ANY, "another rate", "another number of axes"])
def test_replay_refuses(home: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    spoil, options, words = (SCORE | ANY)[name]
    path = spoil(home)
    arguments = ["replay", str(path), "--bundle", str(home / "bundle"), *options]
    assert path.name in refused(capsys, home, arguments, words)


def flipped(bundle: Path) -> None:
    data = bytearray((bundle / "model.tflite").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / "model.tflite").write_bytes(data)


def rewritten(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    """The manifest changed, and its hash set right again."""

    def spoil(bundle: Path) -> None:
        path = bundle / "manifest.toml"
        manifest = tomllib.loads(path.read_text())
        change(manifest)
        path.write_text(tomli_w.dumps(manifest))

    return spoil


def removed(name: str) -> Callable[[Path], None]:
    return lambda bundle: (bundle / name).unlink()


def a_file(bundle: Path) -> None:
    shutil.rmtree(bundle)
    bundle.write_text("bundle")


BUNDLES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (shutil.rmtree, "No such file"),
    "a file": (a_file, "Not a directory"),
    "one bit of the model flipped": (flipped, "model.tflite"),
    "model missing": (removed("model.tflite"), "model.tflite: cannot be read"),
    "hashes missing": (removed("SHA256SUMS"), "SHA256SUMS: cannot be read"),
    "a key missing": (rewritten(lambda m: m.pop("threshold")), "`threshold`"),
    "a key missing in a table": (rewritten(lambda m: m["sensor"].pop("rate_hz")), "`rate_hz`.*sensor"),
    "an unknown key": (rewritten(lambda m: m.update(extra=1)), "extra"),
    "another format": (rewritten(lambda m: m.update(format=2)), "format: found 2, expected 1"),
    "a threshold of text": (rewritten(lambda m: m["threshold"].update(value="1")), "threshold.value"),
    "a threshold moved": (rewritten(lambda m: m["threshold"].update(value=9.9)), "SHA256SUMS"),
    "no TOML": (lambda b: (b / "manifest.toml").write_text("{"), "not TOML"),
    "empty manifest": (lambda b: (b / "manifest.toml").write_text(""), "format: found None"),
}


@pytest.mark.parametrize("name", BUNDLES)
@pytest.mark.parametrize("command", ["score", "replay"])
def test_a_broken_bundle(
    home: Path, pump: Learnt, capsys: pytest.CaptureFixture[str], name: str, command: str
) -> None:
    spoil, words = BUNDLES[name]
    bundle = home / "bundle"
    spoil(bundle)
    arguments = {
        "score": ["score", str(bundle), str(pump.healthy), "--jsonl", str(home / "s.jsonl")],
        "replay": ["replay", str(pump.healthy), "--bundle", str(bundle)],
    }[command]
    assert "bundle" in refused(capsys, home, arguments, words)


@pytest.mark.parametrize("kind", ["a folder of something else", "a file", "below a file"])
def test_learn_to_a_place_that_cannot_be(
    home: Path, pump: Learnt, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    thesis = home / "thesis"
    if kind == "a folder of something else":
        thesis.mkdir()
        (thesis / "chapter-1.txt").write_text("words")
    else:
        thesis.write_text("words")
    out = thesis / "bundle" if kind == "below a file" else thesis
    arguments = ["learn", str(pump.healthy), *CUT, "--out", str(out)]
    assert "thesis" in refused(capsys, home, arguments, "choose another")


@pytest.mark.parametrize("kind", ["folder", "below a file", "in no folder"])
def test_scores_to_a_place_that_cannot_be(
    home: Path, pump: Learnt, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    places = {"folder": "bundle", "below a file": "s.jsonl/s", "in no folder": "none/s"}
    out = home / places[kind]
    arguments = ["score", str(home / "bundle"), str(pump.healthy), "--jsonl", str(out)]
    assert out.name in refused(capsys, home, arguments, "choose another")


def test_learn_from_two_rates(home: Path, pump: Learnt, capsys: pytest.CaptureFixture[str]) -> None:
    other = wav_of_another_rate(home)
    arguments = ["learn", str(pump.healthy), str(other), *CUT, "--out", str(home / "bundle")]
    assert "bad.wav: 4000 Hz" in refused(capsys, home, arguments, "learn them apart")


def test_learn_from_a_broken_configuration(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = home / "a.toml"
    config.write_text("[uplnk]\nport = 0\n[analysis]\nwindow_s = 'x'\n")
    was = contents(home)
    assert main(["learn", str(config), "--out", str(home / "bundle")]) == EX_CONFIG
    err = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in err] == [f"{config}:1", f"{config}:4"]
    assert contents(home) == was


@pytest.mark.parametrize("spoil", [truncated_wav, torn_npz, all_nan_csv], ids=lambda spoil: spoil.__name__)
def test_learn_from_a_configuration_of_a_broken_recording(
    home: Path, capsys: pytest.CaptureFixture[str], spoil: Spoil
) -> None:
    path, config = spoil(home), home / "a.toml"
    config.write_text(f'[[vibration]]\ndriver = "recording"\nname = "de"\npath = "{path.name}"\nspeed = 0\n')
    last = refused(capsys, home, ["learn", str(config), *CUT, "--out", str(home / "bundle")], "expected")
    assert path.name in last


@pytest.mark.parametrize("command", ["guard", "analysis", "uplink", "run", "check", "status"])
def test_every_process_refuses_a_broken_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    config = tmp_path / "a.toml"
    config.write_text("[uplink]\nport = 0\n")
    assert main([command, str(config)]) == EX_CONFIG
    assert capsys.readouterr().err.startswith(f"{config}:2: uplink.port: ")
    assert list(tmp_path.iterdir()) == [config]


def test_check_shows_a_sound_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "a.toml"
    config.write_text("")
    assert main(["check", str(config)]) == 0
    assert "machine: site/area/machine/appliance" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["status"], ["reset", "--who", "x", "--why", "y"]])
def test_no_guard_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    config = tmp_path / "a.toml"
    config.write_text("run_dir = 'run'\n")
    refused(capsys, tmp_path, [command[0], str(config), *command[1:]], "no guard answers")


def as_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "appliance", *map(str, arguments)]
    return subprocess.run(
        command,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("learn", "bad.wav", "--out", "bundle"), 1, "bad.wav"),
        (("score", "bundle", "bad.wav", "--jsonl", "s.jsonl"), 1, "bad.wav"),
        (("score", "none", "bad.wav"), 1, "none/model.tflite"),
        (("replay", "bad.wav"), 1, "bad.wav"),
        (("check", "bad.wav"), EX_CONFIG, "bad.wav"),
        (("learn", "bad.wav"), 2, "--out"),
        (("learn", "bad.wav", "--out", "b", "--rate", "x"), 2, "--rate"),
        (("nonsense",), 2, "nonsense"),
        ((), 2, "COMMAND"),
    ],
    ids=lambda value: "-".join(value[:1]) if isinstance(value, tuple) else None,
)
def test_as_a_process(home: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    bad = truncated_wav(home)
    places = {"bad.wav": bad, "bundle": home / "bundle", "s.jsonl": home / "s.jsonl", "none": home / "none"}
    was = contents(home)
    done = as_process(*(places.get(word, word) for word in arguments))
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if status != 2:
        runtime = "INFO: Created TensorFlow Lite"  # LiteRT's own greeting, which it cannot be told to keep
        assert len([line for line in done.stderr.splitlines() if not line.startswith(runtime)]) == 1
    assert contents(home) == was


def test_version_and_help() -> None:
    assert as_process("--version").stdout.strip() == appliance.__version__
    text_ = as_process("--help").stdout
    for command in ("demo", "run", "learn", "score", "replay", "status", "check", "bench"):
        assert command in text_


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    """`appliance check x.toml | head -0`."""
    config = tmp_path / "a.toml"
    config.write_text("")
    process = simulated.start("check", config)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=30)
    assert err == ""
    assert process.returncode == 0


def test_a_model_that_was_tampered_with_and_hashed_again(
    home: Path, pump: Learnt, capsys: pytest.CaptureFixture[str]
) -> None:
    """Golden outputs see what hashes that were set right again do not."""
    bundle = home / "bundle"
    model = bytearray((bundle / "model.tflite").read_bytes())
    found = bundles.load(bundle).network.layers[0].weight.tobytes()
    at = bytes(model).find(found[:64])
    assert at > 0
    model[at : at + 64] = bytes(64)
    (bundle / "model.tflite").write_bytes(model)
    manifest = tomllib.loads((bundle / "manifest.toml").read_text())
    manifest["model"]["sha256"] = hashlib.sha256(model).hexdigest()
    (bundle / "manifest.toml").write_text(tomli_w.dumps(manifest))
    sums = (
        f"{hashlib.sha256((bundle / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("model.tflite", "manifest.toml", "card.md")
    )
    (bundle / "SHA256SUMS").write_text("".join(sums))
    refused(capsys, home, ["score", str(bundle), str(pump.healthy)], "golden")
