import hashlib
import os
import tomllib

import numpy as np
import pytest
import tomli_w
from small_machine import RATE_HZ, N

from appliance.analysis import bundle as bundles
from appliance.analysis import slots, tflite
from appliance.analysis.card import few
from appliance.errors import BundleError


@pytest.fixture
def folder(made, tmp_path):
    slots.save(made, tmp_path / "bundle")
    return tmp_path / "bundle"


def resum(folder):
    names = (bundles.MODEL, bundles.MANIFEST, bundles.CARD)
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / bundles.SUMS).write_text("".join(sums))


def edit(folder, change):
    """Change the manifest as a person would, and make the sums right again."""
    path = folder / bundles.MANIFEST
    content = tomllib.loads(path.read_text())
    change(content)
    path.write_text(tomli_w.dumps(content))
    resum(folder)


def test_what_is_saved_is_loaded(made, folder):
    loaded = bundles.load(folder)
    assert loaded.manifest == made.manifest
    assert loaded.files == made.files
    assert loaded.id == made.id == f"20231114T221320-{made.sha256[:8]}"
    assert made.sha256 == hashlib.sha256((folder / bundles.SUMS).read_bytes()).hexdigest()
    assert loaded.runner.name in loaded.manifest.golden.outputs


def test_the_manifest_tells_all_that_a_score_depends_on(learnt, made):
    manifest = made.manifest
    assert np.array(manifest.features.center, np.float32).tobytes() == learnt.standard.center.tobytes()
    assert np.array(manifest.features.scale, np.float32).tobytes() == learnt.standard.scale.tobytes()
    assert np.array(manifest.features.residual_scale, np.float32).tobytes() == learnt.residual_scale.tobytes()
    assert [r.windows for r in manifest.recordings] == [60, 40]
    assert "held-out" in manifest.threshold.rule
    assert manifest.model.parent_sha256 == ""


def test_the_card_is_for_people(made):
    text = made.files[bundles.CARD].decode()
    for words in ("sensor de", "100 windows", "load 1", f"{made.threshold:.3f}", made.manifest.model.sha256):
        assert words in text


def test_a_bound_is_said_as_a_person_says_it():
    said = [few(number) for number in (0.0, 9e-8, 0.004, 0.26, 3.4, 637.2)]
    assert said == ["0.001", "0.001", "0.004", "0.3", "3", "637"]


@pytest.mark.parametrize("name", [bundles.MODEL, bundles.MANIFEST, bundles.CARD, bundles.SUMS])
def test_one_flipped_bit_anywhere_is_caught(folder, name):
    path = folder / name
    sound, rng = path.read_bytes(), np.random.default_rng(1)
    for at in [0, len(sound) - 1, *rng.choice(len(sound), 40)]:
        broken = bytearray(sound)
        broken[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(broken))
        with pytest.raises(BundleError, match=str(folder)):
            bundles.load(folder)
    path.write_bytes(sound)
    bundles.load(folder)


@pytest.mark.parametrize("name", [bundles.MODEL, bundles.MANIFEST, bundles.CARD, bundles.SUMS])
def test_truncated_and_missing_files_are_named(folder, name):
    path = folder / name
    sound = path.read_bytes()
    for length in (0, 1, len(sound) // 2, len(sound) - 1):
        path.write_bytes(sound[:length])
        with pytest.raises(BundleError, match=str(folder)):
            bundles.load(folder)
    path.unlink()
    with pytest.raises(BundleError, match=rf"{name}: cannot be read .*; restore the bundle"):
        bundles.load(folder)


def test_a_missing_folder_and_an_oversized_file_are_named(folder, tmp_path):
    with pytest.raises(BundleError, match="nowhere"):
        bundles.load(tmp_path / "nowhere")
    with (folder / bundles.MODEL).open("ab") as file:
        file.truncate(bundles.LARGEST_FILE + 1)
    with pytest.raises(
        BundleError, match="found 8388609 bytes, expected a file of the bundle, 8388608 bytes"
    ):
        bundles.load(folder)


@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_what_never_ends_is_not_read(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleError, match=f"{name}: found no regular file, expected a delta"):
        bundles.read(tmp_path / name, "a delta")


def put(*path_and_value):
    *path, value = path_and_value

    def change(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


def drop(*path):
    def change(content):
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("format", 2), "format: found 2, expected 1"),
        (drop("format"), "format: found None"),
        (put("colour", "red"), "unknown field `colour`"),
        (put("model", "colour", "red"), r"unknown field `colour` - at `\$\.model`"),
        (drop("threshold", "value"), r"missing required field `value` - at `\$\.threshold`"),
        (drop("golden"), "missing required field `golden`"),
        (drop("recordings"), "missing required field `recordings`"),
        (put("threshold", "value", "high"), r"got `str` - at `\$\.threshold\.value`"),
        (put("threshold", "value", 0.0), r"\$\.threshold\.value"),
        (put("threshold", "value", float("inf")), "threshold.value: found inf"),
        (put("sensor", "rate_hz", -1.0), r"\$\.sensor\.rate_hz"),
        (put("sensor", "axes", 3), "sensor.axis_names: found 2 names, expected 3"),
        (put("sensor", "units", "g"), r"\$\.sensor\.units"),
        (put("windows", "n", 499), "windows.n: found 499, expected window_s × rate_hz = 500"),
        (put("windows", "overlap", 1.0), r"\$\.windows\.overlap"),
        (put("windows", "level_unit", "furlong"), r"\$\.windows\.level_unit"),
        (put("features", "center", [0.0]), r"features\.center: found 1 values, expected \d+, one a feature"),
        (put("features", "units", []), r"features\.units: found 0 values"),
        (put("features", "names", []), r"features\.names: found 0 names"),
        (lambda c: c["features"]["names"].__setitem__(1, c["features"]["names"][0]), "features.names"),
        (lambda c: c["features"]["scale"].__setitem__(2, 0.0), r"\$\.features\.scale"),
        (lambda c: c["features"]["scale"].__setitem__(2, float("nan")), r"features\.scale"),
        (
            lambda c: c["features"]["center"].__setitem__(2, float("nan")),
            r"features\.center: found inf or nan",
        ),
        (lambda c: c["features"]["floor"].__setitem__(0, 0.0), r"features\.floor\[0\]: found 0\.0"),
        (put("model", "sha256", "abc"), r"\$\.model\.sha256"),
        (put("model", "sha256", "0" * 64), "model.sha256: found a model of"),
        (put("golden", "inputs", []), r"\$\.golden\.inputs"),
        (put("golden", "outputs", {}), r"golden\.outputs\.numpy: found nothing"),
        (lambda c: c["golden"]["outputs"]["numpy"].pop(), r"golden\.outputs\.numpy: found 15 vectors"),
        (lambda c: c["golden"]["inputs"].__setitem__(3, "zz"), r"golden\.inputs\[3\]: found zz"),
        (put("windows", {}), r"\$\.windows"),
        (put("normal", {"1×": [2.0, 1.0]}), "normal.1×: found 2.0 to 1.0, expected a range"),
        (put("normal", {"1×": [0.0, float("inf")]}), "normal.1×: found 0.0 to inf"),
    ],
)
def test_a_wrong_manifest_is_refused_by_key(folder, change, words):
    edit(folder, change)
    with pytest.raises(BundleError, match=words) as caught:
        bundles.load(folder)
    assert str(folder / bundles.MANIFEST) in str(caught.value)
    assert "; restore the bundle" in str(caught.value)


def test_text_that_is_not_toml_or_not_text_is_refused(folder):
    for junk in (b"format = ", b"\xff\xfe", b"[[[["):
        (folder / bundles.MANIFEST).write_bytes(junk)
        with pytest.raises(BundleError, match="not TOML"):
            bundles.load(folder)


def test_another_sound_model_under_right_sums_fails_its_golden_outputs(folder, made, other):
    model = bytearray(other.files[bundles.MODEL])
    if other.network.layers[0].weight.shape != made.network.layers[0].weight.shape:
        weights = made.network.layers[0].weight.tobytes()
        model = bytearray(made.files[bundles.MODEL])
        model[model.index(weights) + 5] ^= 0x40
    (folder / bundles.MODEL).write_bytes(model)
    edit(folder, put("model", "sha256", hashlib.sha256(model).hexdigest()))
    with pytest.raises(BundleError, match=r"golden\.outputs\.numpy\[\d+\]: found outputs \d+ steps off"):
        bundles.load(folder)


def test_outputs_of_the_backend_in_use_count_too(folder, made):
    backend = made.runner.name

    def change(content):
        first = content["golden"]["outputs"][backend][0]
        content["golden"]["outputs"][backend][0] = ("01" if first[:2] != "01" else "02") + first[2:]

    edit(folder, change)
    with pytest.raises(BundleError, match=rf"golden\.outputs\.{backend}\[0\]"):
        bundles.load(folder)


def test_a_backend_unknown_to_the_bundle_is_held_to_numpy(folder, made):
    edit(
        folder, drop("golden", "outputs", made.runner.name) if made.runner.name != "numpy" else lambda _: None
    )
    assert bundles.load(folder).manifest.model == made.manifest.model


def test_a_model_of_another_width_is_refused(folder, made):
    def change(content):
        for key in content["features"]:
            content["features"][key].pop()
        content["golden"]["inputs"] = [v[:-2] for v in content["golden"]["inputs"]]
        content["golden"]["outputs"] = {
            k: [v[:-2] for v in rows] for k, rows in content["golden"]["outputs"].items()
        }

    edit(folder, change)
    k = made.network.inputs
    with pytest.raises(BundleError, match=f"found {k} inputs and {k} outputs, expected {k - 1}"):
        bundles.load(folder)


def test_a_bundle_for_another_sensor_is_refused(made, extractor):
    bundles.require(made, names=extractor.names, rate_hz=RATE_HZ * 1.005, n=N)
    with pytest.raises(BundleError, match="made for 500 samples at 1000 Hz, found 500 at 2000 Hz"):
        bundles.require(made, names=extractor.names, rate_hz=2000, n=N)
    with pytest.raises(BundleError, match="found 400"):
        bundles.require(made, names=extractor.names, rate_hz=RATE_HZ, n=400)
    with pytest.raises(BundleError, match=r"first difference: z\.rms"):
        bundles.require(made, names=("z.rms", *extractor.names[1:]), rate_hz=RATE_HZ, n=N)
    with pytest.raises(BundleError, match="their number"):
        bundles.require(made, names=extractor.names[:-1], rate_hz=RATE_HZ, n=N)


def test_the_same_baseline_makes_the_same_bytes(learnt, made):
    assert tflite.write(learnt.model) == made.files[bundles.MODEL]
