"""A model tried on live windows beside the one in force: a candidate in shadow, or a new one on probation."""

import time

import msgspec

from appliance.analysis import bundle as bundles
from appliance.analysis.autoencoder import F32
from appliance.analysis.bundle import Bundle
from appliance.analysis.ledger import Trial
from appliance.analysis.scorer import Scorer
from appliance.errors import BundleError
from appliance.models import Models
from hw.ports import PortError

LATE_SHARE = 0.02
"""Share of the windows that may be scored late: a busy kernel delays any model now and then."""
GOLDEN_WINDOWS = 16


class Shadow:
    """Scores each window a second time and keeps the figures of both.

    In shadow the second model is the one tried, on probation it is the one that was in force before.
    """

    def __init__(self, trial: Trial, tried: Bundle, second: Bundle, limits: Models) -> None:
        """Begin anew. tried: whose figures decide; second: that which is scored here, `tried` in shadow."""
        self.figures = trial
        self._tried = tried
        self._second = Scorer(second)
        self._limits = limits
        shadow = trial.stage == "shadow"
        self._wanted = limits.shadow_windows if shadow else limits.probation_windows

    def window(self, features: F32, *, abnormal: bool, took_ms: float) -> dict[str, float]:
        """One window of a running machine; the figures so far for dashboards.

        Args:
            features: (k,), in physical units.
            abnormal: what the model in force says of it.
            took_ms: how long that model took.
        """
        before, shadow = self.figures, self.figures.stage == "shadow"
        if before.verdict:
            return metrics(before)
        try:
            started_s = time.perf_counter()
            value, _ = self._second.score(features)
            second_ms = (time.perf_counter() - started_s) * 1e3
            if before.windows % GOLDEN_WINDOWS == 0:
                bundles.verify_golden(self._tried)
        except (PortError, BundleError) as fault:
            self.figures = msgspec.structs.replace(
                before, golden_failures=before.golden_failures + 1, verdict="bad", reason=str(fault)
            )
            return metrics(self.figures)
        other = value >= self._second.threshold
        tried, other = (other, abnormal) if shadow else (abnormal, other)
        tried_ms = second_ms if shadow else took_ms
        self.figures = self._judged(
            msgspec.structs.replace(
                before,
                windows=before.windows + 1,
                alarms=before.alarms + tried,
                other_alarms=before.other_alarms + other,
                disagreed=before.disagreed + (tried != other),
                late=before.late + (tried_ms > self._limits.latency_ms),
                slowest_ms=max(before.slowest_ms, tried_ms),
            )
        )
        return metrics(self.figures)

    def _judged(self, figures: Trial) -> Trial:
        """Bad as soon as it can no longer end well, good at the end.

        On probation only alarms beyond the other model's count: it was put in force knowing where it differs.
        """
        shadow = figures.stage == "shadow"
        differing = figures.disagreed if shadow else figures.alarms - figures.other_alarms
        if differing > self._limits.disagreement * self._wanted:
            what = "windows judged unlike" if shadow else "more windows abnormal than to"
            return msgspec.structs.replace(
                figures,
                verdict="bad",
                reason=f"found {differing} {what} {figures.other} in {figures.windows}, expected at most "
                f"{self._limits.disagreement:.0%} of {self._wanted}",
            )
        if figures.late > LATE_SHARE * self._wanted:
            return msgspec.structs.replace(
                figures,
                verdict="bad",
                reason=f"found {figures.late} windows scored in more than {self._limits.latency_ms:g} ms "
                f"(slowest {figures.slowest_ms:.1f}), expected at most {LATE_SHARE:.0%} of {self._wanted}",
            )
        done = figures.windows >= self._wanted
        return msgspec.structs.replace(figures, verdict="good") if done else figures


def metrics(figures: Trial) -> dict[str, float]:
    """For dashboards; rates are shares of the windows tried."""
    windows = max(1, figures.windows)
    return {
        "trial_windows": float(figures.windows),
        "trial_alarm_rate": figures.alarms / windows,
        "trial_other_alarm_rate": figures.other_alarms / windows,
        "trial_agreement": 1.0 - figures.disagreed / windows,
        "trial_slowest_ms": figures.slowest_ms,
        "trial_late": float(figures.late),
        "trial_golden_failures": float(figures.golden_failures),
    }
