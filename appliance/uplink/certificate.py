"""What we must know of our own X.509 certificate: its name, its first and its last day."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from appliance.errors import ApplianceError

_COMMON_NAME = bytes.fromhex("0603550403")
_VERSION, _UTC_TIME = 0xA0, 0x17


class Certificate(NamedTuple):
    """name: its common name; empty where it has none. It is valid from `first` to `last`."""

    name: str
    first: datetime
    last: datetime


def read(path: Path) -> Certificate:
    """The first certificate in a PEM file.

    Raises:
        ApplianceError: the file cannot be read, or it holds none.

    Source: RFC 5280, section 4.1. Oracle: openssl.
    """
    try:
        pem = path.read_text("ascii")
        end = pem.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)
        return _decoded(ssl.PEM_cert_to_DER_cert(pem[pem.index(ssl.PEM_HEADER) : end]))
    except OSError as fault:
        raise ApplianceError(
            f"{path}: {fault.strerror}; expected a certificate in PEM; correct the path"
        ) from fault
    except (ValueError, IndexError, StopIteration) as fault:
        raise ApplianceError(f"{path}: no certificate; expected one in PEM (BEGIN CERTIFICATE)") from fault


def _decoded(der: bytes) -> Certificate:
    signed = _inside(_inside(der))
    fields = [field for field in _items(signed) if field[0] != _VERSION]
    _serial, _algorithm, _issuer, validity, subject = fields[:5]
    first, last = (_time(one) for one in _items(_inside(validity)))
    names = [pair for group in _items(_inside(subject)) for pair in _items(_inside(group))]
    found = [_inside(pair) for pair in names if _inside(pair).startswith(_COMMON_NAME)]
    name = _inside(found[0][len(_COMMON_NAME) :]).decode() if found else ""
    return Certificate(name, first, last)


def _items(data: bytes) -> Iterator[bytes]:
    """The elements that stand one after another, each with its tag and length."""
    while data:
        begin, size = _extent(data)
        if begin + size > len(data):
            raise ValueError("cut short")
        yield data[: begin + size]
        data = data[begin + size :]


def _inside(element: bytes) -> bytes:
    begin, size = _extent(element)
    return element[begin : begin + size]


def _extent(element: bytes) -> tuple[int, int]:
    """Where the content begins, and how long it is."""
    if element[1] < 0x80:
        return 2, element[1]
    begin = 2 + (element[1] & 0x7F)
    return begin, int.from_bytes(element[2:begin], "big")


def _time(element: bytes) -> datetime:
    text = _inside(element).decode("ascii")
    if element[0] == _UTC_TIME:  # two digits of the year: 1950 to 2049
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
