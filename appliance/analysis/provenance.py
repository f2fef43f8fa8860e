"""Whose bundle it is and whether this machine may take it: signer, serial, machine, last day."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

from appliance.analysis import bundle as bundles
from appliance.analysis import manifest as manifests
from appliance.analysis import signature
from appliance.analysis.bundle import Bundle
from appliance.analysis.ledger import Seen
from appliance.errors import BundleError

ANY = "any"


def issue(bundle: Bundle, key: bytes, *, serial: int, machine: str = ANY, not_after: str = "") -> Bundle:
    """The bundle signed with a private key.

    Args:
        bundle: any; what an earlier signer said of it is replaced.
        key: private, as `signature.own_key` gives it.
        serial: larger than that of every bundle this key has signed for the machine before.
        machine: site/area/asset/sensor that it is for, or `ANY`.
        not_after: UTC, ISO 8601 to the second with Z, after which it may not be installed; empty: never.
    """
    origin = manifests.Origin(signature.public_key(key), serial, machine, not_after)
    made = bundles.with_manifest(bundle, msgspec.structs.replace(bundle.manifest, origin=origin))
    made.files[bundles.SIGNATURE] = signature.sign(made.files[bundles.SUMS], key)
    return made


def admit(
    bundle: Bundle, *, machine: str, trusted: AbstractSet[str], seen: Mapping[str, Seen], now: str
) -> None:
    """Refuse what is forged, of an unknown signer, for another machine, expired, or older than one before.

    Args:
        bundle: sound in itself (`bundle.load`).
        machine: site/area/asset/sensor.
        trusted: public keys whose bundles may come here.
        seen: the newest bundle taken from each signer.
        now: UTC, ISO 8601 to the second with Z.

    Raises BundleError.
    """
    origin, who = bundle.manifest.origin, f"bundle {bundle.id}"
    proof = bundle.files.get(bundles.SIGNATURE)
    if proof is None or not origin.signer:
        raise BundleError(f"{who}: found no signature, expected one by a trusted key; sign it (model sign)")
    if not signature.is_by(bundle.files[bundles.SUMS], proof, origin.signer):
        raise BundleError(
            f"{who}: forged: found a signature that is not by its signer {origin.signer}, expected one of "
            "these very files; get it again from where it came"
        )
    if origin.signer not in trusted:
        raise BundleError(
            f"{who}: found the signer {origin.signer}, expected this device or a key in models.trusted; add "
            "the key there if you trust it"
        )
    if origin.machine not in (ANY, machine):
        raise BundleError(
            f"{who}: wrong machine: found {origin.machine}, expected {machine}; install the one made for it"
        )
    if origin.not_after and now > origin.not_after:
        raise BundleError(
            f"{who}: expired: found {now}, expected {origin.not_after} at the latest; ask its signer for a "
            "new one, or correct the clock"
        )
    newest = seen.get(origin.signer)
    again = newest is not None and (origin.serial, bundle.id) == (newest.serial, newest.bundle)
    if newest is not None and not again and origin.serial <= newest.serial:
        raise BundleError(
            f"{who}: replayed: found serial {origin.serial}, expected more than {newest.serial} of "
            f"{newest.bundle} by the same signer; take the newer bundle, or roll back"
        )
