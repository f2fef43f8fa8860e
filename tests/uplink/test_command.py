"""What a payload of `cmd/{name}` may be: everything else is refused with words, whatever it is."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.uplink.command import COMMANDS, MOST_BYTES, MOST_BYTES_OF_MODEL, Command, Unfit, decode, id_of

WHO = {"id": "k7-0412", "who": "anna"}
SOUND = {
    "ack": {"channel": "de.peak", "comment": "seen"},
    "evidence": {"name": "9000000000-de.score"},
    "learn": {"act": "again", "why": "new bearing"},
    "model": {"sensor": "de", "why": "w", "delta": "/TdoWg=="},
    "ping": {},
    "rebirth": {},
    "replay": {"from_seq": 1, "to_seq": 9},
    "reset": {"why": "mended"},
    "shelve": {"channel": "de.peak", "why": "ordered", "duration_s": 60},
}
SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schema"
NAMES = st.sampled_from(sorted(COMMANDS))


def payload(name, /, **changed):
    keys = {**WHO, **SOUND[name], **changed}
    return json.dumps({key: value for key, value in keys.items() if value is not ...}).encode()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_sound_one_is_taken_and_fits_its_schema(name):
    command = decode(name, payload(name))
    assert isinstance(command, COMMANDS[name])
    schema = json.loads((SCHEMAS / f"cmd-{name}.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(json.loads(payload(name)))
    assert not validator.is_valid(json.loads(payload(name, more=1)))
    assert not validator.is_valid(json.loads(payload(name, id="a b")))


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("ping", {"id": ...}, "missing required field `id`"),
        ("ping", {"who": ...}, "missing required field `who`"),
        ("ping", {"id": ""}, "at `$.id`"),
        ("ping", {"id": "a" * 65}, "at `$.id`"),
        ("ping", {"id": "a\n"}, "`id` is"),
        ("ping", {"id": 7}, "got `int`"),
        ("ping", {"who": ""}, "at `$.who`"),
        ("ping", {"who": "a" * 81}, "at `$.who`"),
        ("ping", {"who": "a\x1b[2J"}, "`who` is"),
        ("ping", {"who": "\u202eanna"}, "`who` is"),
        ("ping", {"more": 1}, "unknown field `more`"),
        ("ack", {"channel": ...}, "missing required field `channel`"),
        ("ack", {"comment": "a" * 201}, "at `$.comment`"),
        ("shelve", {"duration_s": -1}, "at `$.duration_s`"),
        ("shelve", {"duration_s": 604_801}, "at `$.duration_s`"),
        ("shelve", {"why": ""}, "at `$.why`"),
        ("learn", {"act": "forget"}, "at `$.act`"),
        ("model", {"delta": ""}, "at `$.delta`"),
        ("model", {"delta": "%%%"}, "at `$.delta`"),
        ("model", {"delta": "A" * 88_000}, "at `$.delta`"),
        ("model", {"sensor": ""}, "at `$.sensor`"),
        ("replay", {"to_seq": 0}, "at `$.to_seq`"),
        ("replay", {"from_seq": 10}, "expected a range"),
        ("evidence", {"name": ...}, "expected one of them"),
        ("evidence", {"event": 1}, "expected one of them"),
        ("evidence", {"name": "../x"}, "at `$.name`"),
        ("evidence", {"missing": [1]}, "belong together"),
        ("evidence", {"name": ..., "upload": "0" * 16}, "belong together"),
        ("evidence", {"name": ..., "upload": "0" * 16, "missing": []}, "at `$.missing`"),
        ("evidence", {"name": ..., "upload": "0" * 16, "missing": [0] * 501}, "at `$.missing`"),
        ("evidence", {"name": ..., "upload": "0" * 16, "missing": [-1]}, "at `$.missing"),
    ],
)
def test_what_is_refused_and_why(name, changed, words):
    with pytest.raises(Unfit) as refusal:
        decode(name, payload(name, **changed))
    assert words in str(refusal.value)
    assert "; expected" in str(refusal.value)
    assert str(refusal.value).isprintable()


def test_what_is_too_long_is_not_looked_at():
    long = payload("ping")[:-1] + b" " * MOST_BYTES + b"}"
    with pytest.raises(Unfit, match="4096 at most"):
        decode("ping", long)
    with pytest.raises(Unfit, match="90112 at most"):
        decode("model", b" " * (MOST_BYTES_OF_MODEL + 1))
    assert id_of(b" " * MOST_BYTES_OF_MODEL + long) == ""


@pytest.mark.parametrize(
    "data", [b"[" * 4096, b'{"id":' * 600, b'{"more":' + b"[" * 4000, b"\xff", b"", b"1e999"]
)
def test_depth_and_rubbish_are_refused(data):
    for name in COMMANDS:
        with pytest.raises(Unfit):
            decode(name, data)
    assert id_of(data) == ""


def decoded(name, data):
    """The command, or the words of its refusal."""
    try:
        return decode(name, data)
    except Unfit as refusal:
        return str(refusal)


def sane(found: Command | str) -> bool:
    if isinstance(found, str):
        return found.isprintable()
    texts = [value for value in msgspec.structs.asdict(found).values() if isinstance(value, str)]
    return all(text.isprintable() and len(text) <= 200 for text in texts) and 1 <= len(found.who) <= 80


@settings(max_examples=500, deadline=None)
@given(NAMES, st.binary(max_size=200))
def test_any_bytes(name, data):
    with pytest.raises(Unfit):
        decode(name, data)
    assert len(id_of(data)) <= 64


@settings(max_examples=500, deadline=None)
@given(
    NAMES,
    st.dictionaries(
        st.sampled_from(
            ["id", "who", "channel", "why", "duration_s", "act", "name", "event", "from_seq", "to_seq", "x"]
        ),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=90)
        | st.lists(st.integers()),
    ),
)
def test_any_object(name, keys):
    data = json.dumps({**WHO, **SOUND[name], **keys}).encode()
    assert sane(decoded(name, data))


@settings(max_examples=300, deadline=None)
@given(NAMES, st.integers(0, 60), st.binary(min_size=1, max_size=4))
def test_any_damage(name, at, bytes_):
    data = bytearray(payload(name))
    data[at : at + len(bytes_)] = bytes_
    assert sane(decoded(name, bytes(data)))
