import msgspec
import pytest

from appliance.analysis import bundle as bundles
from appliance.analysis import ledger, provenance, slots
from appliance.analysis.rollout import Rollout
from appliance.analysis.stream import SensorStream
from appliance.config import Analysis
from appliance.desk import source
from appliance.models import Models
from hw.recording import load

KEY = bytes(range(32))
MODELS = Models(shadow_windows=30, probation_windows=30, latency_ms=1000.0)


@pytest.fixture(scope="module")
def blocks(pump):
    return list(source.blocks(load(pump.healthy), "de"))


@pytest.fixture
def place(tmp_path):
    return tmp_path / "slots"


def sibling(pump, serial, threshold_factor=1.0):
    """The pump's bundle under another id; a factor below 1 makes it call normal windows abnormal."""
    bundle = bundles.load(pump.bundle)
    threshold = msgspec.structs.replace(
        bundle.manifest.threshold, value=bundle.manifest.threshold.value * threshold_factor
    )
    manifest = msgspec.structs.replace(bundle.manifest, threshold=threshold)
    return provenance.issue(
        bundles.Bundle(manifest, bundle.network, bundle.runner, bundle.files), KEY, serial=serial
    )


def ignored(_):
    """The acts are read from the ledger."""


def play(place, blocks, count=None, models=MODELS, journal=ignored):
    """As the analysis process: a stream with what is in force, opened anew when that changes."""
    settings = Analysis(window_s=0.25, settle_s=0.0)
    rollout, stream, scores = Rollout(place, models, journal), None, []
    for block in blocks[:count]:
        if stream is None:
            rollout = Rollout(place, models, journal)
            stream = SensorStream("de", 2000, 2, settings, slots.active(place))
        scores += stream.push(block)
        rollout._look_s = 0.0
        if rollout.follow(stream):
            stream = None
    return scores


def test_a_candidate_that_agrees_passes_its_shadow(pump, blocks, place):
    one, two = sibling(pump, 1), sibling(pump, 2)
    slots.offer(one, place)
    slots.offer(two, place)
    scores = play(place, blocks)
    assert {score.model for score in scores} == {one.id}
    trial = ledger.trial(place)
    assert (trial.model, trial.other, trial.stage, trial.verdict) == (two.id, one.id, "shadow", "good")
    assert trial.windows == 30
    shown = [score.metrics for score in scores if "trial_windows" in score.metrics]
    assert len(shown) >= 30
    assert shown[-1]["trial_agreement"] == 1.0
    assert slots.target(place, slots.CANDIDATE) == two.id
    assert [act.what for act in ledger.acts(place)] == ["shadow passed"]
    again = play(place, blocks)
    assert not any("trial_windows" in score.metrics for score in again)  # it need not pass twice


def test_a_candidate_that_disagrees_is_removed(pump, blocks, place):
    one, bad = sibling(pump, 1), sibling(pump, 2, threshold_factor=0.01)
    slots.offer(one, place)
    slots.offer(bad, place)
    scores = play(place, blocks)
    assert {score.model for score in scores} == {one.id}
    assert slots.target(place, slots.CANDIDATE) is None
    assert not (place / bad.id).exists()
    trial = ledger.trial(place)
    assert (trial.verdict, trial.stage) == ("bad", "shadow")
    [act] = ledger.acts(place)
    assert (act.what, act.who, act.model) == ("candidate removed", "appliance", bad.id)
    assert "judged unlike" in act.why
    slots.offer(bad, place)
    play(place, blocks)
    assert slots.target(place, slots.CANDIDATE) is None
    assert [act.what for act in ledger.acts(place)] == ["candidate removed"] * 2


def test_a_candidate_offered_again_at_once_is_tried_again(pump, blocks, place):
    slots.offer(sibling(pump, 1), place)
    bad, rollout = sibling(pump, 2, threshold_factor=0.01), Rollout(place, MODELS, ignored)
    stream = SensorStream("de", 2000, 2, Analysis(settle_s=0.0), slots.active(place))
    for _ in range(2):
        slots.offer(bad, place)
        for block in blocks:
            stream.push(block)
            rollout._look_s = 0.0
            rollout.follow(stream)
            if slots.target(place, slots.CANDIDATE) is None:
                break
        assert slots.target(place, slots.CANDIDATE) is None
    assert len(ledger.acts(place)) == 2


def test_a_candidate_damaged_or_for_another_window_is_removed(pump, blocks, place):
    slots.offer(sibling(pump, 1), place)
    for serial, spoil in ((2, "flip"), (3, "other")):
        bundle = sibling(pump, serial)
        slots.offer(bundle, place)
        if spoil == "flip":
            (place / bundle.id / bundles.MODEL).write_bytes(b"junk")
            play(place, blocks, 20)
        else:
            stream = SensorStream("de", 4000, 2, Analysis(window_s=0.25))
            stream._scorer = SensorStream("de", 2000, 2, Analysis(), slots.active(place))._scorer
            Rollout(place, MODELS, ignored).follow(stream)
        assert slots.target(place, slots.CANDIDATE) is None
    whys = [act.why for act in ledger.acts(place)]
    assert bundles.MODEL in whys[0]
    assert "made for 500 samples at 2000 Hz" in whys[1]


def test_a_promoted_model_is_taken_up_and_ends_its_probation(pump, blocks, place):
    one, two = sibling(pump, 1), sibling(pump, 2)
    slots.offer(one, place)
    rollout = Rollout(place, MODELS, ignored)
    stream = SensorStream("de", 2000, 2, Analysis(settle_s=0.0), slots.active(place))
    assert not rollout.follow(stream)
    slots.offer(two, place)
    slots.promote(place, two.id)
    rollout._look_s = 0.0
    assert rollout.follow(stream)
    scores = play(place, blocks)
    assert {score.model for score in scores} == {two.id}
    trial = ledger.trial(place)
    assert (trial.stage, trial.verdict, trial.windows) == ("probation", "good", 30)


def test_a_promoted_model_that_misbehaves_is_rolled_back(pump, blocks, place):
    one, shrill = sibling(pump, 1), sibling(pump, 2, threshold_factor=0.01)
    slots.offer(one, place)
    slots.offer(shrill, place)
    slots.promote(place, shrill.id)
    scores = play(place, blocks)
    models = [score.model for score in scores]
    assert models[0] == shrill.id
    assert models[-1] == one.id
    assert models == sorted(models, key=[shrill.id, one.id].index)  # once, and not back
    assert slots.target(place, slots.ACTIVE) == one.id
    assert slots.target(place, slots.PREVIOUS) == shrill.id
    [act] = ledger.acts(place)
    assert act.what == f"rolled back to {one.id}"
    assert "more windows abnormal" in act.why


def test_a_candidate_is_promoted_by_itself_where_the_file_says_so(pump, blocks, place):
    one, two, told = sibling(pump, 1), sibling(pump, 2), []
    slots.offer(one, place)
    slots.offer(two, place)
    play(place, blocks, models=msgspec.structs.replace(MODELS, promote="auto"), journal=told.append)
    assert slots.target(place, slots.ACTIVE) == two.id
    assert slots.target(place, slots.PREVIOUS) == one.id
    events = [act.event for act in told]
    assert events == ["model.shadow_passed", "model.promoted", "model.probation_passed"]
    assert {act.severity for act in told} == {"info"}
    assert [act.what for act in ledger.acts(place)] == ["shadow passed", "promoted", "probation passed"]


def test_a_passed_candidate_waits_for_a_person_and_is_promoted_once_the_file_says_so(pump, blocks, place):
    one, two = sibling(pump, 1), sibling(pump, 2)
    slots.offer(one, place)
    slots.offer(two, place)
    play(place, blocks)
    assert slots.target(place, slots.CANDIDATE) == two.id
    play(place, blocks, 20, models=msgspec.structs.replace(MODELS, promote="auto"))
    assert slots.target(place, slots.ACTIVE) == two.id


def test_a_rollback_is_journaled_with_its_reason(pump, blocks, place):
    one, shrill, told = sibling(pump, 1), sibling(pump, 2, threshold_factor=0.01), []
    slots.offer(one, place)
    slots.enforce(shrill, place, probation=True)
    play(place, blocks, journal=told.append)
    assert slots.target(place, slots.ACTIVE) == one.id
    [act] = told
    assert (act.event, act.severity, act.sensor) == ("model.rolled_back", "warning", "de")
    assert "more windows abnormal" in act.message
