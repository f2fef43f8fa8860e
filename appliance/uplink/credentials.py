"""What the uplink shows to the broker: password and certificate, read anew for each attempt to connect."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from appliance.config import Uplink
from appliance.errors import ApplianceError, ConfigError
from appliance.uplink import certificate, tls

_MONTH = timedelta(days=30)


class Shown(NamedTuple):
    """For one attempt. password: None without one; context: None without TLS."""

    password: str | None
    context: ssl.SSLContext | None


NOTHING = Shown(None, None)
"""For a broker that asks for nothing."""


class Credentials:
    """The files behind `[uplink]`. A file renewed on disk is taken by the next attempt."""

    def __init__(self, config: Uplink) -> None:
        self._config = config
        paths = (config.tls.ca_file, config.tls.cert_file, config.tls.key_file) if config.tls else ()
        self._files = [path for path in (config.password_file, *paths) if path]

    def read(self) -> Shown:
        """Raises ConfigError: a file is missing or unusable."""
        return Shown(
            _password(self._config.password_file), tls.context(self._config.tls) if self._config.tls else None
        )

    def expiry(self) -> str:
        """A warning, as `; …`, in the last month of our certificate; else empty."""
        path = self._config.tls.cert_file if self._config.tls else None
        if path is None:
            return ""
        try:
            last = certificate.read(path).last
        except ApplianceError:  # what OpenSSL takes shall not fail for its date
            return "; when our certificate ends cannot be read"
        return (
            f"; our certificate ends on {last:%Y-%m-%d}: renew it"
            if last < datetime.now(UTC) + _MONTH
            else ""
        )

    def stamp(self) -> tuple[int, ...]:
        """Changes when one of the files does."""
        return tuple(_changed_ns(path) for path in self._files)


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(
            f"uplink.password_file: {file}: {fault}; expected a readable text file with the broker's password"
        ) from fault


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
