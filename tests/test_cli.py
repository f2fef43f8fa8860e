"""Bad bundles, places and configurations through the command line, and the command line as a process.

One clear line that names the file, status 1 or 78, nothing changed.
"""

import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import simulated
import tomli_w
from refusals import CUT, contents, refused, truncated_wav
from simulated import ENVIRONMENT, Learnt

import appliance
from appliance.analysis import bundle as bundles
from appliance.cli import main
from appliance.errors import EX_CONFIG


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


def test_learn_from_a_broken_configuration(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = home / "a.toml"
    config.write_text("[uplnk]\nport = 0\n[analysis]\nwindow_s = 'x'\n")
    was = contents(home)
    assert main(["learn", str(config), "--out", str(home / "bundle")]) == EX_CONFIG
    err = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in err] == [f"{config}:1", f"{config}:4"]
    assert contents(home) == was


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


@pytest.mark.parametrize(
    "typed",
    [
        "model export out --slot active CONFIG",
        "model export out CONFIG --slot active",
        "model export --slot active out CONFIG",
        "evidence show 1-de.peak --picture p.png CONFIG",
        "acknowledge de.peak --who anna CONFIG",
    ],
)
def test_the_configuration_stands_last_or_before_the_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    config = str(tmp_path / "missing.toml")
    assert main(typed.replace("CONFIG", config).split()) == EX_CONFIG
    assert f"{config}: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["check a.toml b.toml", "model list a.toml --nonsense", "bench a.toml"])
def test_more_than_a_command_takes(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    with pytest.raises(SystemExit):
        main(typed.split())
    assert f"unrecognized arguments: {typed.rsplit(maxsplit=1)[-1]}" in capsys.readouterr().err


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
