"""Raw TOML tables to the typed structs of the configuration; what does not fit becomes a fault."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec
from msgspec import inspect

from appliance.toml_lines import Keys
from appliance.toml_values import found, in_words, misfit, nearest, shown


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

    def struct(self, kind: type[msgspec.Struct], raw: Mapping[str, object]) -> msgspec.Struct:
        """A whole document as `kind`, complete and of the right types whatever `raw` holds."""
        return cast("msgspec.Struct", self._value(inspect.type_info(kind), raw, (), None))

    def _value(self, expected: inspect.Type, raw: object, keys: Keys, default: object) -> object:
        match expected:
            case inspect.UnionType(types=types):
                real = [t for t in types if not isinstance(t, inspect.NoneType)]
                structs = [t for t in real if isinstance(t, inspect.StructType)]
                if structs:
                    return self._table(structs, raw, keys, default)
                return self._value(real[0], raw, keys, default)
            case inspect.StructType():
                return self._table([expected], raw, keys, default)
            case inspect.VarTupleType():
                return self._array(expected, raw, keys, default)
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
            message = f"{shown(raw)} {found(raw)}; expected an array of tables; write [[{dotted(keys)}]]"
            return self._replace(keys, message, default)
        least = expected.min_length or 0
        if len(raw) < least:
            message = f"{len(raw)} entries; expected at least {least}; add one, or leave the key out"
            return self._replace(keys, message, default)
        return tuple(self._value(expected.item_type, item, (*keys, n), None) for n, item in enumerate(raw))

    def _table(self, kinds: list[inspect.StructType], raw: object, keys: Keys, default: object) -> object:
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
        if kind.tag_field is not None:
            known.insert(0, kind.tag_field)
        for name in raw:
            if name not in known:
                message = f"unknown key; expected one of {', '.join(known)}; {nearest(name, known)}"
                self.faults.append(Fault((*keys, name), message))
        return kind.cls(**{f.name: self._field(f, raw, keys) for f in kind.fields})

    def _driver(
        self, kinds: list[inspect.StructType], raw: Mapping[str, object], keys: Keys
    ) -> inspect.StructType | None:
        """The struct that the tag (`driver = …`) names."""
        tag = kinds[0].tag_field
        if tag is None:
            return kinds[0]
        choices = {str(kind.tag): kind for kind in kinds}
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
