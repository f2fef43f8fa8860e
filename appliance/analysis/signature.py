"""Ed25519 keys and signatures, as base64. PyNaCl is imported only where something is signed or verified."""

import binascii
import os
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path

from appliance.errors import BundleError

_KEY_BYTES = 32


def own_key(path: Path) -> bytes:
    """The private key in `path`; made at first need, readable by its owner alone, and never sent anywhere.

    Raises BundleError: it cannot be made or read, or is no key.
    """
    try:
        if not path.exists():
            _make(path)
        text = path.read_text("ascii", "replace").strip()
    except OSError as fault:
        raise BundleError(
            f"{path}: the key cannot be made or read ({fault.strerror}), expected a folder of our own for "
            "it; check its owner"
        ) from fault
    return _decoded(text, f"{path}", "a private key of 32 bytes; restore it, or remove it for a new one")


def public_key(key: bytes) -> str:
    """The public half of a private key."""
    from nacl.signing import SigningKey

    return b64encode(bytes(SigningKey(key).verify_key)).decode()


def sign(data: bytes, key: bytes) -> bytes:
    """The signature of `data` by a private key, as one line of text."""
    from nacl.signing import SigningKey

    return b64encode(SigningKey(key).sign(data).signature) + b"\n"


def is_by(data: bytes, signature: bytes, signer: str) -> bool:
    """Whether `signature` is that of `data` by the holder of the public key `signer`."""
    from nacl.exceptions import BadSignatureError
    from nacl.exceptions import ValueError as LengthError
    from nacl.signing import VerifyKey

    try:
        VerifyKey(b64decode(signer, validate=True)).verify(data, b64decode(signature.strip(), validate=True))
    except (BadSignatureError, LengthError, binascii.Error):
        return False
    return True


def trusted_key(entry: str) -> str:
    """The public key that an entry of `models.trusted` means: the key itself, or the path of its file.

    Raises BundleError: no such file, or no key in it.
    """
    if not entry.startswith("/") or entry.endswith("="):
        return entry
    try:
        text = Path(entry).read_text("ascii", "replace").strip()
    except OSError as fault:
        raise BundleError(
            f"models.trusted: {entry}: cannot be read ({fault.strerror}), expected the file of a public key; "
            "correct the path"
        ) from fault
    return b64encode(_decoded(text, entry, "a public key of 32 bytes; correct the path")).decode()


def _make(path: Path) -> None:
    """Write a new key whole or not at all; where two do so at once the first one counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")  # mode 0600
    try:
        os.write(handle, b64encode(os.urandom(_KEY_BYTES)) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


def _decoded(text: str, where: str, expected: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        data = b""
    if len(data) != _KEY_BYTES:
        raise BundleError(f"{where}: found {len(text)} characters that are not it, expected {expected}")
    return data
