"""A new box beside a real guard: the base scores within half a minute, then the machine's own model does."""

import time

from appliance_processes import Folder

from appliance.analysis import slots
from appliance.analysis.base import OWN_WINDOWS
from appliance.records import GuardState, Notice, Quality, Score

PATIENCE_S = 40.0


def test_a_new_box_scores_with_the_base_until_its_own_model_is_there(tmp_path):
    box = Folder(tmp_path)
    try:
        box.write(speed=20.0, rate_hz=3332.0, learn_s=600.0)
        box.start("guard")
        box.start("analysis")
        link = box.connect()
        scores: dict[int, Score] = {}
        events, end_s = {}, time.monotonic() + PATIENCE_S
        while "model.learnt" not in events or not any(_own(score) for score in scores.values()):
            assert time.monotonic() < end_s, (list(events), list(scores.values())[-1:])
            message = link.receive()
            if isinstance(message, Notice):
                events.setdefault(message.event.type, message.event.message)
            elif isinstance(message, GuardState):
                scores |= {score.t1_mono_ns: score for score in message.scores}
            elif message is None:
                time.sleep(0.005)
        of_base = [score for score in scores.values() if score.model.startswith("base-")]
        assert "base machines-3332hz-xyz, calibrated on 24 windows; provisional" in events["model.calibrated"]
        first_s = (of_base[0].t1_mono_ns - min(scores)) * 1e-9
        assert first_s < 60
        judged = [score for score in of_base if score.quality is Quality.OK]
        assert len(judged) >= 10
        assert sum(score.value > score.threshold for score in judged) <= 0.1 * len(judged)
        assert all(f"of {OWN_WINDOWS} windows until its own model" in score.reason for score in judged)
        active = slots.active(tmp_path / "state" / "bundles" / "de")
        assert not active.manifest.base.name  # it lives in memory alone: no slot ever held it
        assert active.manifest.memory.windows == OWN_WINDOWS
        assert slots.target(tmp_path / "state" / "bundles" / "de", slots.PREVIOUS) is None
    finally:
        box.close()


def _own(score):
    return score.model and not score.model.startswith("base-")
