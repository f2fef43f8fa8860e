"""TLS 1.2 or later with a certificate of this device; what went wrong with it in words."""

import ssl
import stat
import time
from pathlib import Path

from appliance.errors import ConfigError
from appliance.plant_tls import Tls
from appliance.uplink.reasons import Policy

_ALERTS = {
    "CERTIFICATE_REQUIRED": "the broker asks for a certificate; set uplink.tls.cert_file and key_file",
    "HANDSHAKE_FAILURE": "the broker found nothing in common with us; is a certificate wanted?",
    "UNKNOWN_CA": "the broker does not know the authority behind our certificate; have it signed by its own",
    "CERTIFICATE_EXPIRED": "the broker says that our certificate has expired; renew it",
    "CERTIFICATE_REVOKED": "the broker says that our certificate is revoked; make a new key and certificate",
    "BAD_CERTIFICATE": "the broker does not accept our certificate; have it signed by its authority",
    "UNSUPPORTED_CERTIFICATE": "the broker does not accept this kind of certificate; make a client's",
    "CERTIFICATE_UNKNOWN": "the broker does not accept our certificate; see the broker's log",
    "ACCESS_DENIED": "the broker denies our certificate; see the broker's log",
}
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"}


def context(tls: Tls) -> ssl.SSLContext:
    """A context that checks the broker's certificate and its name, and shows ours.

    Raises:
        ConfigError: a file is missing or no certificate, or key and certificate do not belong together.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.ca_file is None:
        made.load_default_certs()
    else:
        pem = _read("ca_file", tls.ca_file)
        try:
            made.load_verify_locations(cadata=pem)
        except ssl.SSLError as fault:
            raise _unusable(
                "ca_file", tls.ca_file, "no certificate in PEM", "the authority behind the broker, PEM"
            ) from fault
    if tls.cert_file and tls.key_file:
        _read("cert_file", tls.cert_file)
        _read("key_file", tls.key_file)
        if tls.key_file.stat().st_mode & stat.S_IRWXO:
            raise _unusable("key_file", tls.key_file, "open to every user", "mode 600; run chmod o= on it")
        try:
            made.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: "")
        except (ssl.SSLError, ValueError) as fault:
            if "KEY_VALUES_MISMATCH" in str(fault):
                found = f"not the key of the certificate in {tls.cert_file}"
                raise _unusable("key_file", tls.key_file, found, "the key it was asked for with") from fault
            found = f"with {tls.cert_file} no usable pair ({fault})"
            raise _unusable(
                "key_file", tls.key_file, found, "PEM files, the key without a password"
            ) from fault
    return made


def explained(fault: OSError | ValueError, host: str) -> tuple[str, Policy]:
    """What a fault of the handshake, or an alert after it, means and asks for."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        now = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        found = f"the broker's certificate is not trusted: {fault.verify_message}"
        remedy = "someone in between (a captive portal, a proxy), another uplink.tls.ca_file, or our clock"
        return f"{found}; expected one for {host!r}; {remedy} ({now} UTC)?", Policy.BACK_OFF
    reason = getattr(fault, "reason", None) or ""
    for alert, words in _ALERTS.items():
        if reason.endswith(f"ALERT_{alert}"):
            return words, Policy.NEEDS_CHANGE
    if reason in _NO_TLS:
        return "no TLS is spoken there; expected the broker's TLS port, often 8883", Policy.BACK_OFF
    if isinstance(fault, ConnectionError | ssl.SSLEOFError):
        return "cut in the TLS handshake; expected the broker's TLS port, often 8883", Policy.BACK_OFF
    if isinstance(fault, TimeoutError):
        return "no answer to the TLS handshake within 3 s", Policy.BACK_OFF
    return f"TLS failed: {fault}", Policy.BACK_OFF


def _read(key: str, path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError as fault:
        raise _unusable(
            key,
            path,
            fault.strerror or str(fault),
            "a PEM file that this user may read; run `appliance provision`",
        ) from fault
    except UnicodeDecodeError as fault:
        raise _unusable(key, path, "no text", "a PEM file") from fault


def _unusable(key: str, path: Path, found: str, expected: str) -> ConfigError:
    return ConfigError(f"uplink.tls.{key}: {path}: {found}; expected {expected}")
