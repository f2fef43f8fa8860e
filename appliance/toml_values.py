"""Single TOML values against the single types of the configuration: do they fit, and in words, what would."""

import re
from collections.abc import Iterable
from typing import cast

from msgspec import inspect

_FOUND = {
    bool: "is true or false",
    int: "is a whole number",
    float: "is a number",
    str: "is text",
    list: "is an array",
    dict: "is a table",
}


def misfit(expected: inspect.Type, raw: object, words: str | None = None) -> str | None:
    """What is wrong with `raw` as `expected`: found, expected, what to do; None where it fits.

    Args:
        expected: the type of one value: text, path, number, true or false, or one of several words.
        raw: what the file holds there, of any type.
        words: what is expected, where the type itself cannot say it (a pattern).
    """
    want = words or in_words(expected)
    if not _is_kind(expected, raw):
        return f"{shown(raw)} {found(raw)}; expected {want}; {_remedy(expected, raw)}"
    if isinstance(expected, inspect.LiteralType):
        known = [str(value) for value in expected.values]
        if str(raw) in known:
            return None
        remedy = nearest(raw, known) if isinstance(raw, str) else "choose one of them"
        return f"{shown(raw)} is not one of them; expected {want}; {remedy}"
    if not _is_inside(expected, raw):
        return f"{shown(raw)} is out of range; expected {want}; choose a value inside"
    if not _is_spelt(expected, raw):
        return f"{shown(raw)} is not allowed; expected {want}; correct it"
    return None


def in_words(expected: inspect.Type) -> str:  # noqa: PLR0911 - a table of types
    """`a whole number from 1 to 65535`."""
    match expected:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            return str((schema or {}).get("description") or in_words(inner))
        case inspect.UnionType(types=types):
            return " or ".join(in_words(t) for t in types if not isinstance(t, inspect.NoneType))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            kind = "a whole number" if isinstance(expected, inspect.IntType) else "a number"
            return f"{kind} {allowed_range(expected)}".rstrip()
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(str(value) for value in values if value != '')}"
        case inspect.CustomType():
            return "a path"
        case inspect.StrType(min_length=least):
            return "text that is not empty" if least else "text"
        case inspect.VarTupleType(item_type=item):
            return "an array of tables" if "a table" in in_words(item) else f"an array of {in_words(item)}"
        case _:
            return "a table"


def allowed_range(expected: inspect.IntType | inspect.FloatType) -> str:
    """`from 1 to 65535`, `above 0`, `from 0 and below 1`; "" where every number is allowed."""
    low, high = expected.ge, expected.le
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}" if max(abs(low), abs(high)) < 1e6 else f"from {low} to {high}"
    bounds = {"above": expected.gt, "from": low, "below": expected.lt, "up to": high}
    return " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)


def shown(raw: object) -> str:
    """A value as a person may have written it, at most some 40 characters."""
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, list | dict):
        return f"{len(raw)} entries"
    text = repr(raw) if isinstance(raw, str | int | float) else str(raw)
    return text if len(text) <= 40 else f"{text[:36]} …"


def found(raw: object) -> str:
    """`is text`."""
    return _FOUND.get(type(raw), "is a date or time")


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'port'?` where one of `known` is near, else `correct or remove it`."""
    import difflib  # noqa: PLC0415  # 0.2 MB in each process, and only a fault needs it

    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else "correct or remove it"


def _is_kind(expected: inspect.Type, raw: object) -> bool:
    match expected:
        case inspect.BoolType():
            return isinstance(raw, bool)
        case inspect.IntType():
            return isinstance(raw, int) and not isinstance(raw, bool)
        case inspect.FloatType():
            return isinstance(raw, int | float) and not isinstance(raw, bool)
        case inspect.LiteralType(values=values):
            return type(raw) is type(values[0])
        case _:
            return isinstance(raw, str)


def _is_inside(expected: inspect.Type, raw: object) -> bool:
    if not isinstance(expected, inspect.IntType | inspect.FloatType):
        return True
    number = cast("float", raw)
    largest = 2**63 - 1 if isinstance(expected, inspect.IntType) else 1e300
    return (
        -largest <= number <= largest  # also refuses nan and inf
        and (expected.gt is None or number > expected.gt)
        and (expected.ge is None or number >= expected.ge)
        and (expected.lt is None or number < expected.lt)
        and (expected.le is None or number <= expected.le)
    )


def _is_spelt(expected: inspect.Type, raw: object) -> bool:
    text = str(raw)
    match expected:
        case inspect.CustomType():
            return text != "" and "\0" not in text
        case inspect.StrType(min_length=least, pattern=pattern):
            return len(text) >= (least or 0) and (pattern is None or re.fullmatch(pattern, text) is not None)
        case _:
            return True


def _remedy(expected: inspect.Type, raw: object) -> str:
    is_bare = isinstance(expected, inspect.BoolType | inspect.IntType | inspect.FloatType) or (
        isinstance(expected, inspect.LiteralType) and isinstance(expected.values[0], int)
    )
    if is_bare and isinstance(raw, str) and re.fullmatch(r"[-+.\d]+|true|false", raw):
        return "write it without quotes"
    if not is_bare and isinstance(raw, bool | int | float):
        return "write it in quotes"
    return "correct the value"
