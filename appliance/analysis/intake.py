"""Bundles that come from outside: verified, asked whose they are, kept to be tried. docs/MODELS.md"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from appliance.analysis import bundle as bundles
from appliance.analysis import delta, ledger, provenance, signature, slots
from appliance.analysis.bundle import Bundle
from appliance.config import Config
from appliance.errors import ApplianceError, BundleError
from appliance.records import ModelAct
from appliance.requests import Offer


def admit(bundle: Bundle, config: Config, sensor: str) -> str:
    """Keep a bundle as candidate, or in force where nothing is; the slot it went to. Raises BundleError."""
    folder = config.bundle_dir(sensor)
    ours = signature.public_key(signature.own_key(config.device_key_path))
    provenance.admit(
        bundle,
        machine=config.machine_of(sensor),
        trusted={ours, *map(signature.trusted_key, config.models.trusted)},
        seen=ledger.serials(folder),
        now=ledger.iso(datetime.now(UTC)),
    )
    return slots.offer(bundle, folder)


def parents(folder: Path, passed_over: Callable[[str], None]) -> Iterator[Bundle]:
    """The bundles in the slots, against which a delta may be made; passed_over hears which is not sound."""
    for slot in slots.SLOTS:
        if slots.target(folder, slot) is not None:
            try:
                yield bundles.load(folder / slot)
            except BundleError as fault:
                passed_over(f"{slot} is passed over: {fault}")


def offered(offer: Offer, config: Config) -> ModelAct:
    """Take the delta that the plant offers as candidate, never in force; what is to be said of it."""
    try:
        return ModelAct(
            offer.sensor, "model.installed", _candidate(offer, config), who=offer.who, why=offer.why
        )
    except (ApplianceError, OSError) as fault:
        return ModelAct(offer.sensor, "model.refused", str(fault), "warning", offer.who, offer.why)


def _candidate(offer: Offer, config: Config) -> str:
    if offer.sensor not in [spec.name for spec in config.vibration]:
        raise BundleError(f"found no vibration sensor {offer.sensor!r}; expected one of the configuration")
    folder = config.bundle_dir(offer.sensor)
    if slots.target(folder, slots.ACTIVE) is None:
        raise BundleError(
            "found no model in force to try it against; expected one; install it at the machine"
        )
    passed_over: list[str] = []
    bundle = delta.apply(offer.delta, list(parents(folder, passed_over.append)))
    slot = admit(bundle, config, offer.sensor)
    ledger.note(folder, f"installed as {slot}", bundle.id, offer.who, offer.why)
    return f"{bundle.id} is the {slot}, in shadow"
