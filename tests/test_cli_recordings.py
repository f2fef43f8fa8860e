"""Bad recordings and options through learn, score and replay: one clear line, status 1, nothing changed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import simulated
from refusals import CUT, refused, truncated_wav
from simulated import Learnt

from appliance.analysis import bundle as bundles
from appliance.cli import main
from hw.csvfile import write_csv
from hw.evidence import Track, write_evidence
from hw.wav import write_wav

Spoil = Callable[[Path], Path]


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


def test_learn_says_why_windows_are_not_usable(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, signal = home / "bad.wav", simulated.accel(2000, 2, 10)
    signal[:, 1] = 0.5
    write_wav(path, signal, 2000)
    capsys.readouterr()
    assert main(["learn", str(path), *CUT, "--out", str(home / "bundle")]) == 1
    found = "bad.wav 10.0 s, 79 windows, 3 of normal running, 76 NOT OK (an axis does not move)"
    assert found in capsys.readouterr().err.splitlines()


def test_learn_from_two_rates(home: Path, pump: Learnt, capsys: pytest.CaptureFixture[str]) -> None:
    other = wav_of_another_rate(home)
    arguments = ["learn", str(pump.healthy), str(other), *CUT, "--out", str(home / "bundle")]
    assert "bad.wav: 4000 Hz" in refused(capsys, home, arguments, "learn them apart")


@pytest.mark.parametrize("spoil", [truncated_wav, torn_npz, all_nan_csv], ids=lambda spoil: spoil.__name__)
def test_learn_from_a_configuration_of_a_broken_recording(
    home: Path, capsys: pytest.CaptureFixture[str], spoil: Spoil
) -> None:
    path, config = spoil(home), home / "a.toml"
    config.write_text(f'[[vibration]]\ndriver = "recording"\nname = "de"\npath = "{path.name}"\nspeed = 0\n')
    last = refused(capsys, home, ["learn", str(config), *CUT, "--out", str(home / "bundle")], "expected")
    assert path.name in last
