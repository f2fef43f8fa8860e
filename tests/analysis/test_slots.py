import random
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_machine import bundle_of

from appliance.analysis import bundle as bundles
from appliance.analysis import ledger, provenance, slots
from appliance.analysis.ledger import Act
from appliance.errors import BundleError

REPO = Path(__file__).parents[2]
KEY = bytes(range(32))


@pytest.fixture
def homes(made, other, tmp_path):
    for name, bundle in (("one", made), ("two", other)):
        slots.save(bundle, tmp_path / name)
    return tmp_path / "one", tmp_path / "two"


def test_installing_points_active_and_keeps_the_previous(homes, made, other, tmp_path):
    place = tmp_path / "slots"
    assert slots.active(place) is None
    slots.install(homes[0], place)
    assert slots.active(place).id == made.id
    assert not (place / slots.PREVIOUS).exists()
    slots.install(homes[1], place)
    assert slots.active(place).id == other.id
    assert bundles.load(place / slots.PREVIOUS).id == made.id


def test_only_active_and_previous_are_kept(homes, learnt, tmp_path):
    place = tmp_path / "slots"
    slots.save(bundle_of(learnt, 1_600_000_000), tmp_path / "three")
    for home in (*homes, tmp_path / "three"):
        slots.install(home, place)
    folders = {entry.name for entry in place.iterdir() if not entry.is_symlink()}
    assert folders == {str((place / link).readlink()) for link in (slots.ACTIVE, slots.PREVIOUS)}


def test_installing_what_is_active_changes_nothing(homes, made, tmp_path):
    place = tmp_path / "slots"
    for home in (homes[1], homes[0], homes[0], place / made.id):
        slots.install(home, place)
    assert slots.active(place).id == made.id
    assert str((place / slots.PREVIOUS).readlink()) != made.id


def test_a_broken_bundle_is_not_installed(homes, made, tmp_path):
    place = tmp_path / "slots"
    slots.install(homes[0], place)
    (homes[1] / bundles.MODEL).write_bytes(b"junk")
    with pytest.raises(BundleError):
        slots.install(homes[1], place)
    assert slots.active(place).id == made.id
    assert sorted(entry.name for entry in place.iterdir()) == [made.id, slots.ACTIVE]


def test_saving_over_a_bundle_replaces_it_whole(homes, other):
    slots.save(other, homes[0])
    assert bundles.load(homes[0]).id == other.id
    assert [entry.name for entry in homes[0].parent.iterdir() if entry.name.startswith(".")] == []


def test_something_else_is_not_replaced(made, tmp_path):
    place = tmp_path / "documents"
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="not a bundle"):
        slots.save(made, place)
    assert (place / "thesis.txt").read_text() == "years of work"
    with pytest.raises(BundleError, match="not a bundle"):
        slots.save(made, place / "thesis.txt")


def test_a_full_disk_leaves_the_old_bundle_and_no_litter(homes, made, other):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(other.files[bundles.MANIFEST]) - 100, limit[1]))
    try:
        with pytest.raises(BundleError, match=r"cannot be written .*what was there before is still in force"):
            slots.save(other, homes[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert bundles.load(homes[0]).id == made.id
    assert sorted(entry.name for entry in homes[0].parent.iterdir()) == ["one", "two"]


def test_a_place_that_cannot_hold_a_folder_is_named(made, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot be written"):
        slots.save(made, tmp_path / "file" / "bundle")


def test_not_every_fault_is_the_file_systems(tmp_path):
    with pytest.raises(FileNotFoundError) as fault:
        slots._exchange(tmp_path / "one", tmp_path / "other")
    assert fault.value.strerror == "No such file or directory"


LOOP = """
import itertools, sys
from pathlib import Path
from appliance.analysis import slots
from appliance.analysis.bundle import load
one, two, place = map(Path, sys.argv[1:])
first, second = load(one), load(two)
print("go", flush=True)
for home, bundle in itertools.cycle([(one, first), (two, second)]):
    slots.install(home, place)
    slots.save(bundle, place.parent / "kept")
"""


def test_killed_at_any_moment_a_whole_bundle_is_in_force(homes, made, other, tmp_path):
    place, known, rng = tmp_path / "slots", {made.id, other.id}, random.Random(1)
    slots.install(homes[0], place)
    slots.save(made, tmp_path / "kept")
    for _ in range(15):
        process = subprocess.Popen(
            [sys.executable, "-c", LOOP, *map(str, homes), str(place)], cwd=REPO, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout.readline() == b"go\n"
            time.sleep(rng.uniform(0, 0.06))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        assert slots.active(place).id in known
        assert bundles.load(tmp_path / "kept").id in known
        previous = place / slots.PREVIOUS
        assert not previous.is_symlink() or bundles.load(previous).id in known


@pytest.fixture
def place(tmp_path):
    return tmp_path / "slots"


def signed(bundle, serial):
    return provenance.issue(bundle, KEY, serial=serial, machine="a/b/c/de")


def held(place):
    return tuple(slots.target(place, slot) for slot in slots.SLOTS)


def test_the_first_bundle_is_in_force_and_the_next_is_a_candidate(made, other, place):
    one, two = signed(made, 1), signed(other, 2)
    assert slots.offer(one, place) == slots.ACTIVE
    assert slots.offer(two, place) == slots.CANDIDATE
    assert held(place) == (one.id, two.id, None)
    assert slots.active(place).id == one.id
    [(signer, newest)] = ledger.serials(place).items()
    assert (newest.serial, newest.bundle) == (2, two.id)
    assert signer == two.manifest.origin.signer


def test_promote_and_rollback_move_one_step(made, other, place):
    one, two, three = signed(made, 1), signed(other, 2), signed(made, 3)
    for bundle in (one, two):
        slots.offer(bundle, place)
    slots.promote(place, two.id)
    assert held(place) == (two.id, None, one.id)
    trial = ledger.trial(place)
    assert (trial.model, trial.other, trial.stage, trial.verdict) == (two.id, one.id, "probation", "")
    assert slots.rollback(place, two.id) == one.id
    assert held(place) == (one.id, None, two.id)
    assert slots.rollback(place, one.id) == two.id  # and forth again
    slots.offer(three, place)
    slots.promote(place, three.id)
    assert held(place) == (three.id, None, two.id)
    assert not (place / one.id).exists()


def test_a_candidate_replaced_or_withdrawn_leaves_nothing(made, other, place):
    one, two, three = signed(made, 1), signed(other, 2), signed(other, 3)
    for bundle in (one, two, three):
        slots.offer(bundle, place)
    assert held(place) == (one.id, three.id, None)
    assert not (place / two.id).exists()
    assert not slots.withdraw(place, "something else")
    assert held(place) == (one.id, three.id, None)
    assert slots.withdraw(place, three.id)
    assert held(place) == (one.id, None, None)
    assert not (place / three.id).exists()
    assert next(iter(ledger.serials(place).values())).serial == 3


def test_what_cannot_be_done_changes_nothing(made, other, place):
    one, two = signed(made, 1), signed(other, 2)
    slots.offer(one, place)
    for act, words in (
        (lambda: slots.rollback(place, one.id), "and none before it, expected another bundle before"),
        (lambda: slots.promote(place, two.id), "found None as candidate"),
        (lambda: slots.offer(one, place), "in force already"),
    ):
        with pytest.raises(BundleError, match=words):
            act()
    slots.offer(two, place)
    with pytest.raises(BundleError, match=f"found {two.id} as candidate, expected x"):
        slots.promote(place, "x")
    (place / two.id / bundles.MODEL).write_bytes(b"junk")
    with pytest.raises(BundleError, match=bundles.MODEL):
        slots.promote(place, two.id)
    assert held(place) == (one.id, two.id, None)
    assert slots.offer(two, place) == slots.CANDIDATE  # installing it again mends it
    slots.promote(place, two.id)
    (place / one.id / bundles.MODEL).write_bytes(b"junk")
    with pytest.raises(BundleError, match=bundles.MODEL):
        slots.rollback(place, two.id)
    assert held(place) == (two.id, None, one.id)


def test_figures_of_a_shadow_do_not_undo_the_probation_of_its_model(made, other, place):
    one, two = signed(made, 1), signed(other, 2)
    for bundle in (one, two):
        slots.offer(bundle, place)
    figures = ledger.Trial(two.id, one.id, "shadow", windows=7)
    slots.keep_trial(place, figures)
    assert ledger.trial(place) == figures
    slots.promote(place, two.id)
    slots.keep_trial(place, figures)
    assert ledger.trial(place).stage == "probation"
    slots.keep_trial(place, ledger.Trial(two.id, one.id, "probation", windows=9))
    assert ledger.trial(place).windows == 9


def test_a_promotion_killed_between_its_steps_is_finished_by_the_next_change(made, other, place):
    one, two = signed(made, 1), signed(other, 2)
    for bundle in (one, two):
        slots.offer(bundle, place)
    slots.promote(place, two.id)
    (place / slots.CANDIDATE).symlink_to(two.id)  # as if killed before the last step
    slots.withdraw(place, "nothing")
    assert held(place) == (two.id, None, one.id)


def test_two_at_once_take_turns(made, other, place):
    slots.offer(signed(made, 1), place)
    many = [signed(other, serial) for serial in range(2, 10)]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda bundle: slots.offer(bundle, place), many)) == {slots.CANDIDATE}
    assert bundles.load(place / slots.CANDIDATE).id in {bundle.id for bundle in many}
    assert len([entry for entry in place.iterdir() if entry.is_dir() and not entry.is_symlink()]) == 2


def test_the_ledger_survives_torn_lines_and_names_damage(place):
    place.mkdir()
    ledger.add(place, Act("2026-01-01T00:00:00Z", "promoted", "m", "anna"))
    with (place / ledger.ACTS).open("ab") as file:
        file.write(b'\n{"at": "2026-0')
    ledger.add(place, Act("2026-01-02T00:00:00Z", "rolled back", "m", "anna", "noise"))
    assert [act.what for act in ledger.acts(place)] == ["promoted", "rolled back"]
    (place / ledger.SERIALS).write_text("junk")
    with pytest.raises(BundleError, match=r"serials\.json: cannot be read"):
        ledger.serials(place)
