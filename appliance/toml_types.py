"""Raw TOML tables to typed structs and dataclasses; what does not fit becomes a fault."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec
from msgspec import inspect

from appliance.toml_lines import Keys
from appliance.toml_values import found, in_words, misfit, nearest, shown

Table = inspect.StructType | inspect.DataclassType


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a configuration.

    keys: the place to correct. about: other places it follows from; where one of those, or `keys`, does
    not hold the file's own value, this fault is not told.
    """

    keys: Keys
    message: str
    about: tuple[Keys, ...] = ()


@dataclass(slots=True)
class Conversion:
    """Converts values one by one and gathers `faults`; a value at fault is replaced by its default.

    folder: where relative paths begin. replaced: the places where a default stands instead.
    """

    folder: Path
    faults: list[Fault] = field(default_factory=list)
    replaced: set[Keys] = field(default_factory=set)

    def document(self, kind: type, raw: Mapping[str, object]) -> object:
        """A whole document as `kind`, a struct complete and of the right types whatever `raw` holds.

        A dataclass checks itself when it is made, so one with a fault inside is not made: None.
        """
        return self._value(inspect.type_info(kind), raw, (), None)

    def _value(  # noqa: PLR0911 - a table of types
        self, expected: inspect.Type, raw: object, keys: Keys, default: object
    ) -> object:
        match expected:
            case inspect.UnionType(types=types):
                real = [t for t in types if not isinstance(t, inspect.NoneType)]
                structs = [t for t in real if isinstance(t, Table)]
                if structs:
                    return self._table(structs, raw, keys, default)
                return self._value(real[0], raw, keys, default)
            case inspect.StructType() | inspect.DataclassType():
                return self._table([expected], raw, keys, default)
            case inspect.DictType():
                return self._named(expected, raw, keys, default)
            case inspect.VarTupleType():
                return self._array(expected, raw, keys, default)
            case inspect.TupleType():
                return self._several(expected, raw, keys, default)
            case _:
                return self._single(expected, raw, keys, default)

    def _single(self, expected: inspect.Type, raw: object, keys: Keys, default: object) -> object:
        inner = expected.type if isinstance(expected, inspect.Metadata) else expected
        message = misfit(inner, raw, in_words(expected))
        if message is not None:
            return self._replace(keys, message, default)
        if isinstance(inner, inspect.CustomType):
            return self.folder / str(raw)
        return float(cast("float", raw)) if isinstance(inner, inspect.FloatType) else raw

    def _array(self, expected: inspect.VarTupleType, raw: object, keys: Keys, default: object) -> object:
        if not isinstance(raw, list):
            want = in_words(expected)
            remedy = f"write [[{dotted(keys)}]]" if want == "an array of tables" else "write it in brackets"
            return self._replace(keys, f"{shown(raw)} {found(raw)}; expected {want}; {remedy}", default)
        least = expected.min_length or 0
        if len(raw) < least:
            message = f"{len(raw)} entries; expected at least {least}; add one, or leave the key out"
            return self._replace(keys, message, default)
        return tuple(self._value(expected.item_type, item, (*keys, n), None) for n, item in enumerate(raw))

    def _several(self, expected: inspect.TupleType, raw: object, keys: Keys, default: object) -> object:
        count = len(expected.item_types)
        if not isinstance(raw, list) or len(raw) != count:
            message = f"{shown(raw)} {found(raw)}; expected an array of {count} values; correct it"
            return self._replace(keys, message, default)
        items = enumerate(zip(expected.item_types, raw, strict=True))
        return tuple(self._value(kind, item, (*keys, n), None) for n, (kind, item) in items)

    def _named(self, expected: inspect.DictType, raw: object, keys: Keys, default: object) -> object:
        """Tables under names of the user's own."""
        if not isinstance(raw, dict):
            message = f"{shown(raw)} {found(raw)}; expected a table of tables; write [{dotted(keys)}.NAME]"
            return self._replace(keys, message, default)
        kind = expected.value_type
        return {name: self._value(kind, item, (*keys, name), None) for name, item in raw.items()}

    def _table(self, kinds: Sequence[Table], raw: object, keys: Keys, default: object) -> object:
        fallback = _stand_in(kinds[0]) if default is None else default
        if not isinstance(raw, dict):
            message = (
                f"{shown(raw)} {found(raw)}; expected a table; write its keys under a header or in {{ }}"
            )
            return self._replace(keys, message, fallback)
        kind = self._driver(kinds, raw, keys)
        if kind is None:
            self.replaced.add(keys)
            return fallback
        known = [f.encode_name for f in kind.fields]
        if isinstance(kind, inspect.StructType) and kind.tag_field is not None:
            known.insert(0, kind.tag_field)
        faults_before = len(self.faults)
        for name in raw:
            if name not in known:
                message = f"unknown key; expected one of {', '.join(known)}; {nearest(name, known)}"
                self.faults.append(Fault((*keys, name), message))
        values = {f.name: self._field(f, raw, keys) for f in kind.fields}
        if isinstance(kind, inspect.DataclassType):
            return self._checked(kind, values, keys) if len(self.faults) == faults_before else None
        return kind.cls(**values)

    def _checked(self, kind: inspect.DataclassType, values: dict[str, object], keys: Keys) -> object:
        """A dataclass of sound values, which may refuse them together."""
        try:
            return kind.cls(**values)
        except ValueError as fault:
            return self._replace(keys, str(fault), None)

    def _driver(self, kinds: Sequence[Table], raw: Mapping[str, object], keys: Keys) -> Table | None:
        """The struct that the tag (`driver = …`) names."""
        structs = [kind for kind in kinds if isinstance(kind, inspect.StructType)]
        tag = structs[0].tag_field if structs else None
        if tag is None:
            return kinds[0]
        choices = {str(kind.tag): kind for kind in structs}
        name = raw.get(tag)
        if isinstance(name, str) and name in choices:
            return choices[name]
        one_of = f"one of {', '.join(choices)}"
        if tag in raw:
            message = f"{shown(name)} is not a {tag}; {one_of}; correct the name"
        else:
            message = f'missing; {one_of}; add {tag} = "{next(iter(choices))}"'
        self.faults.append(Fault((*keys, tag), message))
        return None

    def _field(self, expected: inspect.Field, raw: Mapping[str, object], keys: Keys) -> object:
        name = expected.encode_name
        default = _default(expected)
        if name in raw:
            return self._value(expected.type, raw[name], (*keys, name), default)
        if expected.required:
            message = f"missing; expected {in_words(expected.type)}; add {name} = …"
            return self._replace((*keys, name), message, default)
        return default

    def _replace(self, keys: Keys, message: str, default: object) -> object:
        self.faults.append(Fault(keys, message))
        self.replaced.add(keys)
        return default


def dotted(keys: Keys) -> str:
    """`vibration[0].driver`; items are numbered from 0."""
    return "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in keys).lstrip(".")


def _default(expected: inspect.Field) -> object:
    if expected.required:
        return _stand_in(expected.type)
    if expected.default_factory is msgspec.NODEFAULT:
        return cast("object", expected.default)
    return cast("object", expected.default_factory())


def _stand_in(expected: inspect.Type) -> object:
    """A value of the right type for what is required and at fault; no check looks at it."""
    match expected:
        case inspect.Metadata(type=inner):
            return _stand_in(inner)
        case inspect.StructType():
            return expected.cls(**{f.name: _default(f) for f in expected.fields})
        case inspect.CustomType():
            return Path()
        case inspect.FloatType():
            return 0.0
        case inspect.LiteralType(values=values):
            return values[0]
        case _:
            return ""
