"""The bytes of Sparkplug payloads, against the protobuf runtime."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tahu_schema import Payload, read

from appliance.uplink.sparkplug_codec import DataType, Metric, encode, wishes

UINT64 = st.integers(0, 2**64 - 1)
MILLIS = st.integers(0, 2**53)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = {
    DataType.INT64: st.integers(-(2**63), 2**63 - 1),
    DataType.DOUBLE: st.floats(allow_nan=False),
    DataType.BOOLEAN: st.booleans(),
    DataType.STRING: TEXT,
    DataType.DATETIME: MILLIS,
}


@st.composite
def metrics(draw):
    kind = draw(st.sampled_from(DataType))
    return Metric(
        name=draw(TEXT),
        datatype=kind,
        value=draw(st.none() | VALUES[kind]),
        at_ms=draw(MILLIS),
        alias=draw(st.none() | UINT64),
        unit=draw(st.sampled_from(["", "mm/s", "°C"])),
        historical=draw(st.booleans()),
        tell_datatype=draw(st.booleans()),
    )


def as_protobuf(at_ms, told, seq):
    payload = Payload(timestamp=at_ms)
    for metric in told:
        one = payload.metrics.add(timestamp=metric.at_ms)
        if metric.name:
            one.name = metric.name
        if metric.alias is not None:
            one.alias = metric.alias
        if metric.tell_datatype:
            one.datatype = metric.datatype
        if metric.historical:
            one.is_historical = True
        if metric.unit:
            one.properties.keys.append("engUnit")
            one.properties.values.add(type=12, string_value=metric.unit)
        if metric.value is None:
            one.is_null = True
        elif metric.datatype is DataType.DOUBLE:
            one.double_value = metric.value
        elif metric.datatype is DataType.BOOLEAN:
            one.boolean_value = metric.value
        elif metric.datatype is DataType.STRING:
            one.string_value = metric.value
        else:
            one.long_value = metric.value % 2**64
    if seq is not None:
        payload.seq = seq
    return payload.SerializeToString()


@given(MILLIS, st.lists(metrics(), max_size=8), st.none() | st.integers(0, 255))
def test_the_bytes_are_those_of_protobuf(at_ms, told, seq):
    assert encode(at_ms, told, seq) == as_protobuf(at_ms, told, seq)


@st.composite
def commands(draw):
    payload = Payload(timestamp=draw(MILLIS), uuid=draw(TEXT), body=draw(st.binary(max_size=5)))
    expected = {}
    for name in draw(st.lists(TEXT, unique=True, max_size=5)):
        metric = payload.metrics.add(name=name, datatype=draw(st.integers(0, 40)), alias=draw(UINT64))
        metric.metadata.description = draw(TEXT)
        expected[name] = None
        match draw(st.sampled_from(["bool", "float", "double", "int", "text", "bytes", "none"])):
            case "bool":
                expected[name] = metric.boolean_value = draw(st.booleans())
            case "float":
                metric.float_value = draw(st.floats(width=32))
            case "double":
                metric.double_value = draw(st.floats())
            case "int":
                metric.int_value = draw(st.integers(0, 2**32 - 1))
            case "text":
                metric.string_value = draw(TEXT)
            case "bytes":
                metric.bytes_value = draw(st.binary(max_size=9))
    return payload.SerializeToString(), expected


@given(commands())
def test_wishes_are_what_protobuf_wrote(case):
    payload, expected = case
    assert wishes(payload) == expected


@given(commands(), st.data())
def test_damaged_bytes_are_refused_with_words_or_read(case, data):
    payload = bytearray(case[0])
    for _ in range(data.draw(st.integers(1, 4))):
        if payload:
            at = data.draw(st.integers(0, len(payload) - 1))
            payload[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(ValueError):
        wishes(bytes(payload))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_words_or_read(payload):
    with contextlib.suppress(ValueError):
        wishes(payload)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"\xff" * 11, "without an end"),
        (b"\x12\x05ab", "a field of 5 bytes at byte 2 of 4"),
        (b"\x0b", "wire type 3"),
        (b"\x12\x04\x0a\x02\xff\xfe", "utf-8"),
    ],
)
def test_what_is_wrong_is_said(payload, words):
    with pytest.raises(ValueError, match=words):
        wishes(payload)


def test_a_null_is_told_as_null_and_not_as_a_number():
    (metric,) = read(encode(5, [Metric("a", DataType.DOUBLE, None, 4)], 0)).metrics
    assert (metric.is_null, metric.WhichOneof("value"), metric.timestamp) == (True, None, 4)
