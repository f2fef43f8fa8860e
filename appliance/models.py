"""Configuration of the models: whose may come here, how they are tried."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from appliance.sensors import NotNegative, Positive


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
    promote: Literal["ask", "auto"] = "ask"
    """Who puts a candidate in force that ended its shadow well: a person, or the appliance by itself."""
    new_condition: Literal["ask", "accept"] = "ask"
    """Who says that a new operating condition is normal: a person, or the appliance by itself."""
    adapt_every_h: NotNegative = 0.0
    """Hours of running after which slow change is followed, within the drift budget; 0: never."""
