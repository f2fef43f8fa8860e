"""card.md: what a person should know about a bundle, on one page."""

from appliance.analysis.manifest import Manifest

_LEAST = 0.001
"""No tail of some hundred scores promises less, whatever it computes."""


def few(number: float) -> str:
    """A bound as a person says it: 0.001, 0.03, 0.8, 12."""
    return f"{number:.0f}" if number >= 1 else f"{max(number, _LEAST):.1g}"


def card(manifest: Manifest) -> str:
    """The card as Markdown."""
    sensor, windows, threshold = manifest.sensor, manifest.windows, manifest.threshold
    model, receipts, false = manifest.model, manifest.receipts, manifest.false_alarms
    base = manifest.base
    words = f"base model {base.name} of {base.machines} machines, calibrated on these windows"
    origin = f"- Provisional: {words}.\n" if base.name else ""
    axes, parent = ", ".join(sensor.axis_names), model.parent_sha256
    total = sum(recording.windows for recording in manifest.recordings)
    rows = "".join(f"| {recording.name} | {recording.windows} |\n" for recording in manifest.recordings)
    return f"""# Normal of sensor {sensor.name}

Learnt {manifest.created} by appliance {manifest.appliance} from {total} windows of {windows.window_s:g} s
(overlap {windows.overlap:.0%}) at {sensor.rate_hz:g} Hz, axes {axes}, acceleration in m/s².

| recording | windows |
|---|---|
{rows}
- Model: dense autoencoder, int8, {model.parameters} parameters, {len(manifest.features.names)} features.
{origin}- Score: mean over the features of the squared, normalised reconstruction error; about 1 is normal.
- Threshold: {threshold.value:.3f}: {threshold.rule}.
- Held-out scores: median {threshold.held_out_median:.3f}, 99 % {threshold.held_out_p99:.3f},
  worst {threshold.held_out_worst:.3f} ({threshold.held_out_windows} windows).
- False alarms: {false.rate:.2%} of normal windows lie above it, 90 % sure at most {false.rate_at_most:.2%};
  above it for {false.delay_s:.1f} s ({false.delay_windows} windows in a row): at most
  {few(false.per_month)} in a month of running.
- int8 against float: score differs by at most {receipts.int8_largest_difference:.3f} of the threshold, same
  verdict on {receipts.int8_same_verdict:.1%} of the windows, rank {receipts.int8_rank_correlation:.4f}.
- The quietest window learnt had {windows.lowest_level:.4g} {windows.level_unit} RMS.

Know its limits: it knows the speeds, loads and mounting of these recordings and nothing else. A high score
says that the machine is unlike them; a fault that was there while learning is normal to it.

Model SHA-256: `{model.sha256}`{f", made from `{parent}`" if parent else ""}
"""
