"""`[uplink.tls]`: how broker and appliance know each other."""

from pathlib import Path

from msgspec import Struct


class Tls(Struct, forbid_unknown_fields=True, frozen=True):
    """TLS 1.2 or later; `appliance provision` makes the files. The broker's certificate must name `host`."""

    ca_file: Path | None = None
    """Certificates that vouch for the broker, PEM; left out: those of the system."""
    cert_file: Path | None = None
    """This device's certificate, PEM; its name is machine.device. Left out: the broker asks for none."""
    key_file: Path | None = None
    """Its private key, PEM, readable by this user only."""
