"""`appliance provision`: this device's identity towards the plant. The private key never leaves it."""

import argparse
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from appliance import disk
from appliance.config import Config
from appliance.desk.device_id import device_id
from appliance.errors import ApplianceError
from appliance.plant_tls import Tls
from appliance.toml_document import Document
from appliance.uplink import certificate, tls

_TLS_PORT = 8883


def run(arguments: argparse.Namespace) -> int:
    """Make key and request, or take in the signed certificate; prints what is to be done next."""
    identity = Identity(arguments.config)
    broker = _broker(arguments.broker) if arguments.broker else None
    if (arguments.certificate is None) != (arguments.ca is None):
        raise ApplianceError("found one of --certificate and --ca; expected both or none; add the other")
    if arguments.certificate is None:
        print(identity.request())
    else:
        identity.install(arguments.certificate, arguments.ca)
        print(identity.lines(broker))
    return 0


class Identity:
    """Key, request and certificate of this device, in `state_dir`/identity.

    Raises:
        ApplianceError: the configuration cannot be read, or this device has no name.
    """

    def __init__(self, config: Path) -> None:
        document = Document(config, Config)  # not yet sound: the files of [uplink.tls] are made here
        folder = document.content.state_dir.absolute() / "identity"
        self._config = config
        self._uplink = document.content.uplink
        self._folder = folder
        self._key, self._request = folder / "uplink.key", folder / "uplink.csr"
        self._certificate, self._ca = folder / "uplink.pem", folder / "ca.pem"
        if document.is_written(("machine", "device")):
            self._name, self._origin = document.content.machine.device, "machine.device"
        else:
            self._name, self._origin = device_id()

    def request(self) -> str:
        """Make the key, unless there is one, and the request for a certificate; returns what to tell."""
        self._make_folder()
        made = "as it was" if self._key.exists() else "new"
        if made == "new":
            _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", out=self._key)
        _openssl("req", "-new", "-key", self._key, "-subj", f"/CN={self._name}", out=self._request)
        self._give(self._key, self._request)
        return "\n".join(
            (
                f"device   {self._name} ({self._origin})",
                f"key      {self._key} ({made}); it never leaves this device",
                f"request  {self._request}",
                "Have the plant's certificate authority sign the request, then run",
                f"  appliance provision {self._config} --certificate FILE --ca FILE --broker mqtts://HOST:8883",
            )
        )

    def install(self, signed: Path, ca: Path) -> None:
        """Check the certificate and keep it with its CA.

        Raises:
            ApplianceError: it is for another device or another key, its time is not now, or `ca` does not
                stand behind it.
        """
        if not self._key.exists():
            raise ApplianceError(
                f"{self._key}: not there; expected the key of the request; run without --certificate"
            )
        found = certificate.read(signed)
        if found.name != self._name:
            raise ApplianceError(
                f"{signed}: made for {found.name!r}; expected {self._name!r} ({self._origin}); "
                f"have {self._request} signed"
            )
        now = datetime.now(UTC)
        if not found.first <= now <= found.last:
            first, last, today = (f"{at:%Y-%m-%d %H:%M}" for at in (found.first, found.last, now))
            raise ApplianceError(
                f"{signed}: valid from {first} to {last} UTC; expected {today} in between; "
                "have it renewed, or set the clock"
            )
        tls.context(Tls(ca_file=ca, cert_file=signed, key_file=self._key))
        _openssl("verify", "-CAfile", ca, "-untrusted", signed, "-purpose", "sslclient", signed)
        self._make_folder()
        for source, target in ((ca, self._ca), (signed, self._certificate)):
            disk.replace(target, source.read_bytes(), mode=0o600)
        self._give(self._ca, self._certificate)

    def lines(self, broker: tuple[str, int] | None) -> str:
        """What the configuration must say."""
        host, port = broker or (self._uplink.host, _TLS_PORT)
        return "\n".join(
            (
                f"# {self._config} must say (tables that stand there already take these keys):",
                "[machine]",
                f'device = "{self._name}"',
                "",
                "[uplink]",
                f'host = "{host}"',
                f"port = {port}",
                "",
                "[uplink.tls]",
                f'ca_file = "{self._ca}"',
                f'cert_file = "{self._certificate}"',
                f'key_file = "{self._key}"',
                "# Then: appliance check, appliance selftest, systemctl restart appliance-uplink",
            )
        )

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as fault:
            raise ApplianceError(
                f"{self._folder}: {fault.strerror}; expected a folder to write in; run as root"
            ) from fault
        self._give(self._folder)

    def _give(self, *paths: Path) -> None:
        """What root makes belongs to the user that the processes run as: the owner of state_dir."""
        if os.geteuid() == 0:
            owner = self._folder.parent.stat()
            for path in paths:
                os.chown(path, owner.st_uid, owner.st_gid)


def _broker(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme != "mqtts" or not parts.hostname or port == 0:
        raise ApplianceError(f"--broker {url}: expected mqtts://HOST or mqtts://HOST:PORT; correct it")
    return parts.hostname, port or _TLS_PORT


def _openssl(*arguments: str | Path, out: Path | None = None) -> None:
    """Run it; what it makes is readable by this user only, and is there whole or not at all."""
    new = out.with_suffix(".new") if out else None
    command = ["openssl", *map(str, arguments), *(["-out", str(new)] if new else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, umask=0o077, check=False)
    except FileNotFoundError as fault:
        raise ApplianceError("openssl not found, expected the command; run: apt install openssl") from fault
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ApplianceError(f"openssl {arguments[0]} refused: {'; '.join(said[-3:])}; expected none of this")
    if out and new:
        disk.replace(out, new.read_bytes(), mode=0o600)
        new.unlink()
