"""A JSON object that carries the SHA-256 of itself, so that no byte of it changes unnoticed. Pure.

It shows damage and careless hands, not a forger, who can compute it as well.
"""

import hashlib

_MEMBER = b',"sha256":"'
_ADDED = len(_MEMBER) + 64 + len(b'"')


def digest(text: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(text).hexdigest()


def seal(text: bytes) -> bytes:
    """The object with a last member "sha256": the digest of `text` as given.

    text: a JSON object with at least one member, without white space around it.
    """
    return b'%b%b%b"}' % (text[:-1], _MEMBER, digest(text).encode("ascii"))


def unseal(sealed: bytes) -> bytes | None:
    """What was sealed; None where it is not as `seal` left it."""
    text = sealed[: -_ADDED - 1] + b"}"
    return text if seal(text) == sealed else None
