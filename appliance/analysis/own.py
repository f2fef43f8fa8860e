"""What was learnt on this device, vouched for by its own key."""

from appliance.analysis import ledger, provenance, signature
from appliance.analysis.bundle import Bundle
from appliance.config import Config


def signed(bundle: Bundle, config: Config, sensor: str) -> Bundle:
    """The bundle for this sensor of this machine, with the next serial. Raises BundleError."""
    key = signature.own_key(config.device_key_path)
    serial = ledger.next_serial(signature.public_key(key), ledger.serials(config.bundle_dir(sensor)))
    return provenance.issue(bundle, key, serial=serial, machine=config.machine_of(sensor))
