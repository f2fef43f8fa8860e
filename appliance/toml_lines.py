"""Where in a TOML document each key stands: tomllib answers values, a person needs lines."""

import re
import tomllib
from bisect import bisect_right

Keys = tuple[str | int, ...]
"""A place in a document: names of tables and keys, numbers of array items from 0."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # up to two quotes may stand before the closing three
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)


def key_lines(text: str) -> dict[Keys, int]:
    """Line, from 1, of every table, key and array item of `text`.

    A table is where its header first stands, a dotted key where it is first written, a value where its key
    is, an array item where it begins.

    Args:
        text: a document that `tomllib.loads` accepts; on any other the answer is meaningless.
    """
    scan = _Scan(text)
    scan.document()
    return scan.lines


def line_of(lines: dict[Keys, int], keys: Keys) -> int:
    """The line of `keys`, or of the nearest table around it that is written down, or 1."""
    while keys and keys not in lines:
        keys = keys[:-1]
    return lines.get(keys, 1)


class _Scan:
    """One pass over a valid document; `at` only grows."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Keys, int] = {}
        self._newlines = [m.start() for m in re.finditer("\n", text)]
        self._lengths: dict[Keys, int] = {}  # of the arrays of tables

    def document(self) -> None:
        table: Keys = ()
        while self._blank():
            if self._take("["):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Keys:
        is_item = self._take("[")
        line = self._line()
        *outer, last = self._dotted()
        self._blank()
        self.at += 2 if is_item else 1
        table: Keys = ()
        for name in outer:
            table = self._newest((*table, name))
            self.lines.setdefault(table, line)
        table = (*table, last)
        self.lines.setdefault(table, line)
        if not is_item:
            return table
        self._lengths[table] = self._lengths.get(table, 0) + 1
        table = self._newest(table)
        self.lines[table] = line
        return table

    def _newest(self, table: Keys) -> Keys:
        length = self._lengths.get(table)
        return table if length is None else (*table, length - 1)

    def _pair(self, table: Keys) -> None:
        line = self._line()
        for name in self._dotted():
            table = (*table, name)
            self.lines.setdefault(table, line)
        self._blank()
        self._take("=")
        self._blank()
        self._value(table)

    def _value(self, keys: Keys) -> None:
        if self._take("["):
            self._items(keys)
        elif self._take("{"):
            while self._blank() != "}":
                self._pair(keys)
                self._blank()
                self._take(",")
            self.at += 1
        elif (string := _STRING.match(self.text, self.at)) is not None:
            self.at = string.end()
        else:
            self._match(_BARE_VALUE)

    def _items(self, keys: Keys) -> None:
        index = 0
        while self._blank() != "]":
            self.lines[(*keys, index)] = self._line()
            self._value((*keys, index))
            self._blank()
            self._take(",")
            index += 1
        self.at += 1

    def _dotted(self) -> list[str]:
        names: list[str] = []
        while not names or self._take("."):
            self._match(_SPACE)
            names.append(self._name())
            self._match(_SPACE)
        return names

    def _name(self) -> str:
        if self.text[self.at] not in "\"'":
            return self._match(_BARE_KEY)
        name = tomllib.loads(f"name = {self._match(_STRING)}")["name"]
        assert isinstance(name, str)
        return name

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        assert found is not None, f"not valid TOML at character {self.at}"
        self.at = found.end()
        return found.group()

    def _blank(self) -> str:
        """Skip spaces, line ends and comments; the next character, "" at the end."""
        self._match(_BLANK)
        return self.text[self.at : self.at + 1]

    def _take(self, mark: str) -> bool:
        found = self.text.startswith(mark, self.at)
        self.at += len(mark) if found else 0
        return found

    def _line(self) -> int:
        return bisect_right(self._newlines, self.at) + 1
