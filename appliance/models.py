"""Configuration of the models: whose may come here, how they are tried, what runs them."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from appliance.sensors import Positive


class Models(Struct, forbid_unknown_fields=True, frozen=True):
    """Whose models may come here, and when a new one is good enough; see docs/MODELS.md."""

    trusted: tuple[
        Annotated[
            str,
            Meta(
                pattern=r"^([A-Za-z0-9+/]{43}=|/.+)$",
                description="a public key of 44 characters, or the path of its file from the root",
            ),
        ],
        ...,
    ] = ()
    """Public keys (Ed25519, base64, or the paths of their files) that may sign bundles; ours always may."""
    shadow_windows: Annotated[int, Meta(ge=1, le=1_000_000)] = 200
    """Windows of a running machine that a candidate is tried on before it may be promoted."""
    probation_windows: Annotated[int, Meta(ge=1, le=1_000_000)] = 200
    """Windows after its promotion in which a model that misbehaves is rolled back."""
    disagreement: Annotated[float, Meta(ge=0, le=1)] = 0.05
    """Largest share of these windows that it may judge unlike the model it replaces."""
    latency_ms: Positive = 20.0
    """A window that it scores in more than this is late, ms; one in 50 may be."""


class CpuAccelerator(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="cpu"):
    """The model runs on the CPU alone."""


class EdgeTpuAccelerator(Struct, forbid_unknown_fields=True, frozen=True, tag_field="driver", tag="edgetpu"):
    """A Coral Edge TPU runs the model, the CPU whenever that fails; see docs/ACCELERATOR.md."""

    library: Annotated[str, Meta(min_length=1)] = "libedgetpu.so.1"
    """The Edge TPU runtime, as the dynamic linker finds it, or a full path."""
    compiled: Path | None = None
    """Folder of compiled models, {bundle id}_edgetpu.tflite; what it lacks runs as it is in the bundle."""
    deadline_ms: Annotated[float, Meta(ge=1, le=1000)] = 50.0
    """How long a window waits for it before the CPU scores the window, ms."""
    start_s: Annotated[float, Meta(ge=0.5, le=120)] = 10.0
    """How long loading its library, the device and the models may take, s."""
    retry_s: Annotated[float, Meta(ge=0.01, le=600)] = 2.0
    """First wait after a fault before it is started again, s; doubles up to 32 times that."""
    golden_s: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    """Seconds between two checks of all golden vectors; one of them runs behind every window anyway."""
