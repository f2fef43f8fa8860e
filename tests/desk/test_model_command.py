"""`appliance model` as a person types it: what is taken, what is refused and why, and what is told."""

import shutil
from pathlib import Path

import pytest
from simulated import Learnt

from appliance.analysis import bundle as bundles
from appliance.analysis import ledger, signature, slots
from appliance.cli import main

CONFIG = """state_dir = "state"
run_dir = "run"
temperature = []
[machine]
site = "works"
area = "hall"
asset = "pump"
[[vibration]]
driver = "sim"
name = "de"
rate_hz = 2000
axes = 2
[uplink]
enabled = false
[models]
trusted = [{trusted}]
"""


class Desk:
    """A folder with a configuration, a vendor's key and bundles that the vendor signs."""

    def __init__(self, folder: Path, pump: Learnt, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._pump, self._capsys = folder, pump, capsys
        self.config = folder / "appliance.toml"
        self.vendor = folder / "vendor.key"
        key = signature.public_key(signature.own_key(self.vendor))
        self.config.write_text(CONFIG.format(trusted=f'"{key}"'))
        self.place = folder / "state" / "bundles" / "de"

    def __call__(self, *words: object) -> str:
        """A command that must succeed; what it printed."""
        assert main(["model", *map(str, words)]) == 0
        return self._capsys.readouterr().out

    def refused(self, *words: object) -> str:
        assert main(["model", *map(str, words)]) == 1
        return self._capsys.readouterr().err

    def bundle(self, serial: int, *words: object, key: Path | None = None) -> Path:
        folder = self._folder / f"bundle-{serial}{'-'.join(map(str, words))}".replace("/", "_")
        shutil.copytree(self._pump.bundle, folder)
        self("sign", folder, "--key", key or self.vendor, "--serial", serial, *words)
        return folder

    def held(self) -> tuple[str | None, ...]:
        return tuple(slots.target(self.place, slot) for slot in slots.SLOTS)


@pytest.fixture
def desk(tmp_path: Path, pump: Learnt, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, pump, capsys)


def test_install_promote_and_roll_back(desk: Desk) -> None:
    one, two = bundles.load(desk.bundle(1)).id, bundles.load(path := desk.bundle(2)).id
    said = desk("install", desk.bundle(1, "--machine", "any"), desk.config)
    assert said == f"de: {one} is in force: there was none to compare it with\n"
    assert "promote it after 200 windows in shadow" in desk("install", path, desk.config, "--who", "anna")
    assert desk.held() == (one, two, None)
    refusal = desk.refused("promote", desk.config)
    assert f"found 0 windows of {two} in shadow, expected 200" in refusal
    said = desk(
        "promote", desk.config, "--untried", "--who", "anna", "--why", "after the bearing was changed"
    )
    assert said == f"de: {two} is in force, on probation for 200 windows\n"
    assert "is in force again" in desk("rollback", desk.config)
    assert desk.held() == (one, None, two)
    listed = desk("list", desk.config)
    assert f"active     {one}" in listed
    assert f"anna: promoted untried: {two} (after the bearing was changed)" in listed
    assert "key of this device: " in listed
    assert [act.what for act in ledger.acts(desk.place)][:2] == [
        "installed as active",
        "installed as candidate",
    ]


def test_a_candidate_that_passed_its_shadow_is_promoted(desk: Desk) -> None:
    for serial in (1, 2):
        desk("install", desk.bundle(serial), desk.config)
    active, candidate, _ = desk.held()
    assert active
    assert candidate
    ledger.keep_trial(desk.place, ledger.Trial(candidate, active, "shadow", windows=200, verdict="good"))
    assert "200 windows, same opinion on 100.0%" in desk("shadow", desk.config)
    desk("promote", desk.config)
    assert desk.held() == (candidate, None, active)


def test_shadow_may_be_ended(desk: Desk) -> None:
    desk("install", desk.bundle(1), desk.config)
    assert "nothing has been tried yet; candidate: none" in desk("shadow", desk.config)
    assert "found no candidate" in desk.refused("shadow", desk.config, "--end")
    desk("install", desk.bundle(2), desk.config)
    assert "no longer a candidate" in desk("shadow", desk.config, "--end")
    assert desk.held()[1] is None


def test_bundles_that_may_not_come_here_are_refused_with_the_reason(
    desk: Desk, pump: Learnt, tmp_path: Path
) -> None:
    desk("install", desk.bundle(5), desk.config)
    before = desk.held()
    forged = desk.bundle(6)
    manifest = (forged / bundles.MANIFEST).read_text().replace("serial = 6", "serial = 60")
    (forged / bundles.MANIFEST).write_text(manifest)
    files = {name: (forged / name).read_bytes() for name in bundles.SUMMED}
    (forged / bundles.SUMS).write_bytes(bundles.sums(files))
    damaged = desk.bundle(8)
    (damaged / bundles.MODEL).write_bytes(b"junk")
    for path, words in (
        (pump.bundle, "found no signature"),
        (forged, "forged"),
        (desk.bundle(7, "--machine", "works/hall/fan/de"), "wrong machine: found works/hall/fan/de"),
        (desk.bundle(9, "--days", "0.0000001"), "expired: found"),
        (desk.bundle(4), "replayed: found serial 4, expected more than 5"),
        (desk.bundle(10, key=tmp_path / "stranger.key"), "found the signer"),
        (damaged, "model.tflite"),
        (tmp_path / "nowhere", "cannot be read"),
        (desk.config, "delta: found a file that is none"),
    ):
        if path.name.startswith("bundle-9"):
            manifest = (path / bundles.MANIFEST).read_text()
            assert 'not_after = "2' in manifest
            _wait_past(bundles.load(path).manifest.origin.not_after)
        assert words in desk.refused("install", path, desk.config), path
    assert desk.held() == before


def _wait_past(iso: str) -> None:
    import time  # noqa: PLC0415

    while time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) <= iso:
        time.sleep(0.05)


def test_what_this_device_has_signed_is_taken_without_being_listed(desk: Desk, tmp_path: Path) -> None:
    own = desk.bundle(1, key=tmp_path / "state" / "device.key")
    assert "is in force" in desk("install", own, desk.config)
    shown = desk("show", desk.config)
    assert "signed by this device, serial 1, for any" in shown
    assert "# Normal of sensor" in shown


def test_export_whole_and_as_a_delta(desk: Desk, tmp_path: Path) -> None:
    desk("install", desk.bundle(1), desk.config)
    desk("install", desk.bundle(2), desk.config)
    active, candidate, _ = desk.held()
    desk("export", tmp_path / "whole", desk.config)
    assert bundles.load(tmp_path / "whole").id == active
    assert " of " in desk(
        "export", tmp_path / "d", desk.config, "--slot=candidate", "--against", tmp_path / "whole"
    )
    desk("shadow", desk.config, "--end")
    desk("install", tmp_path / "d", desk.config)
    assert desk.held() == (active, candidate, None)
    assert (tmp_path / "d").stat().st_size < 2000
    desk("promote", desk.config, "--untried")
    desk("install", desk.bundle(3), desk.config)
    desk("promote", desk.config, "--untried")
    assert "expected one against what is here" in desk.refused("install", tmp_path / "d", desk.config)


def test_an_age_beyond_all_calendars_is_refused(desk: Desk, pump: Learnt) -> None:
    words = (pump.bundle, "--key", desk.vendor, "--serial", 1, "--days", "1e9")
    assert "--days: 0 (for ever) to 36500" in desk.refused("sign", *words)


def test_empty_slots_and_unknown_sensors_are_named(desk: Desk) -> None:
    for words, expected in (
        (("promote",), "found no candidate"),
        (("rollback",), "found no model in force"),
        (("show",), "found nothing as active"),
        (("list", "--sensor", "nde"), "--sensor nde: not a vibration sensor; one of de"),
    ):
        act, *rest = words
        assert expected in desk.refused(act, desk.config, *rest)


def test_another_user_than_the_appliances_own_is_sent_away(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what root has written could not be changed by the analysis, nor its key read."""
    (tmp_path / "state").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: (tmp_path / "state").stat().st_uid + 1)
    assert "say sudo -u" in desk.refused("list", desk.config)
    names: dict[int, object] = {}
    monkeypatch.setattr("pwd.getpwuid", names.__getitem__)  # of a folder from another computer
    owner = (tmp_path / "state").stat().st_uid
    assert f"say sudo -u '#{owner}' appliance model" in desk.refused("list", desk.config)
    assert list((tmp_path / "state").iterdir()) == []
