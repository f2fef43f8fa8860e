"""Sparkplug B payloads as bytes: the part of Eclipse Tahu's protobuf schema that an edge node needs. Pure.

Written by hand because the runtime of `protobuf` costs 6 MB of memory for two messages; with that runtime as
the oracle the tests hold that the bytes are the same.
Source: Sparkplug 3.0.0, section 6.4.1 (field numbers) and 6.4.16 (data types).
"""

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from appliance.uplink.varint import varint

Value = bool | int | float | str

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BYTES = 10


class DataType(IntEnum):
    """The data types that we write."""

    INT64 = 4
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13


class Metric(NamedTuple):
    """One value. name: "" where only the alias is told; value: None is told as `is_null`.

    unit: told as the property `engUnit`, "" for none. tell_datatype: False leaves the data type out.
    """

    name: str
    datatype: DataType
    value: Value | None
    at_ms: int
    alias: int | None = None
    unit: str = ""
    historical: bool = False
    tell_datatype: bool = True


def encode(at_ms: int, metrics: Sequence[Metric], seq: int | None) -> bytes:
    """A payload. at_ms: when it is sent, UTC milliseconds; seq: 0–255, None in an NDEATH only."""
    parts = [_number(1, at_ms), *(_piece(2, _metric(metric)) for metric in metrics)]
    return b"".join(parts) + (b"" if seq is None else _number(3, seq))


def wishes(payload: bytes) -> dict[str, bool | None]:
    """What an NCMD asks for: metric name -> boolean value, None where it is no boolean.

    Raises:
        ValueError: these bytes are no Sparkplug payload.
    """
    found: dict[str, bool | None] = {}
    for number, metric in _fields(payload):
        if number == 2 and isinstance(metric, bytes):
            fields = dict(_fields(metric))
            name, value = fields.get(1), fields.get(14)
            if isinstance(name, bytes):
                found[name.decode()] = bool(value) if isinstance(value, int) else None
    return found


def _metric(metric: Metric) -> bytes:
    parts = [_piece(1, metric.name.encode())] if metric.name else []
    if metric.alias is not None:
        parts.append(_number(2, metric.alias))
    parts.append(_number(3, metric.at_ms))
    if metric.tell_datatype:
        parts.append(_number(4, metric.datatype))
    if metric.historical:
        parts.append(_number(5, 1))
    if metric.value is None:
        parts.append(_number(7, 1))
    if metric.unit:
        text = _number(1, DataType.STRING) + _piece(8, metric.unit.encode())
        parts.append(_piece(9, _piece(1, b"engUnit") + _piece(2, text)))
    if metric.value is not None:
        parts.append(_value(metric.datatype, metric.value))
    return b"".join(parts)


def _value(datatype: DataType, value: Value) -> bytes:
    match datatype:
        case DataType.DOUBLE:
            return varint(13 << 3 | _FIXED64) + struct.pack("<d", value)
        case DataType.BOOLEAN:
            return _number(14, int(bool(value)))
        case DataType.STRING:
            return _piece(15, str(value).encode())
        case _:
            return _number(11, int(value) & (1 << 64) - 1)


def _number(number: int, value: int) -> bytes:
    return varint(number << 3 | _VARINT) + varint(value)


def _piece(number: int, content: bytes) -> bytes:
    return varint(number << 3 | _BYTES) + varint(len(content)) + content


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Every field of one message: number, and its varint or its bytes. Raises ValueError."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        size = 0
        match tag & 7:
            case 0:
                value, at = _read_varint(data, at)
                yield tag >> 3, value
                continue
            case 1:
                size = 8
            case 5:
                size = 4
            case 2:
                size, at = _read_varint(data, at)
            case kind:
                raise ValueError(f"wire type {kind} at byte {at}; expected 0, 1, 2 or 5")
        if at + size > len(data):
            raise ValueError(f"a field of {size} bytes at byte {at} of {len(data)}")
        yield tag >> 3, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for n, byte in enumerate(data[at : at + _MOST_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return value & (1 << 64) - 1, at + n + 1
    raise ValueError(f"a number without an end at byte {at}")
