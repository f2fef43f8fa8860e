"""Lines of keys: documents written here with every line noted are read by tomllib and by us."""

import json
import string
import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.toml_lines import Keys, key_lines, line_of

NAMES = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=4)
ODD_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=5)
KEYS = st.one_of(NAMES, NAMES, ODD_NAMES)
TEXTS = st.text(st.sampled_from("ab#[]{}=,.'\"\\\n \té²"), max_size=12)
SCALARS = st.one_of(
    st.integers(-99, 99), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=6)
QUOTES = "'''"


class Writer:
    """Writes a document in a style drawn by hypothesis and notes where everything went."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.text = ""
        self.lines: dict[Keys, int] = {}

    def coin(self) -> bool:
        return self.data.draw(st.booleans())

    def put(self, text: str) -> None:
        self.text += text

    def note(self, keys: Keys) -> None:
        self.lines.setdefault(keys, self.text.count("\n") + 1)

    def filler(self) -> None:
        self.put(self.data.draw(st.sampled_from(["", "\n", "  # [a] = {'\"\n", "\n\n\t", " #\n"])))

    def name(self, name: str) -> str:
        bare = name != "" and all(c in string.ascii_letters + string.digits + "_-" for c in name)
        if bare and self.coin():
            return name
        if name.isprintable() and "'" not in name and self.coin():
            return f"'{name}'"
        return json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")

    def table(self, table: dict[str, object], keys: Keys) -> None:
        """Scalars, dotted and inline values first; what gets a header of its own afterwards."""
        later: list[tuple[str, object]] = []
        for key, value in table.items():
            tables = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
            if (tables or isinstance(value, dict)) and self.coin():
                later.append((key, value))
            else:
                self.filler()
                self.put(" " if self.coin() else "")
                self.pair(key, value, keys, "")
                self.put("  # note\n" if self.coin() else "\n")
        for key, value in later:
            for item in value if isinstance(value, list) else [value]:
                self.header((*keys, key), item, is_item=isinstance(value, list))

    def header(self, keys: Keys, table: dict[str, object], *, is_item: bool) -> None:
        self.filler()
        if not self.text.endswith("\n"):
            self.put("\n")
        path = ".".join(self.name(k) for k in keys if isinstance(k, str))
        for n in range(1, len(keys) + 1):
            self.note(keys[:n])
        if is_item:
            keys = (*keys, sum(known[:-1] == keys for known in self.lines if isinstance(known[-1], int)))
            self.note(keys)
        self.put(f"[[ {path} ]]\n" if is_item else f"[{path}] # [\n")
        self.table(table, keys)

    def pair(self, key: str, value: object, keys: Keys, prefix: str) -> None:
        keys = (*keys, key)
        path = f"{prefix}{self.name(key)}"
        if isinstance(value, dict) and len(value) == 1 and self.coin():
            self.note(keys)
            [(inner, inner_value)] = value.items()
            self.pair(inner, inner_value, keys, f"{path} . " if self.coin() else f"{path}.")
            return
        self.note(keys)
        self.put(f"{path} = ")
        self.value(value, keys)

    def value(self, value: object, keys: Keys) -> None:
        if isinstance(value, list):
            self.put("[")
            for n, item in enumerate(value):
                self.filler()
                self.note((*keys, n))
                self.value(item, (*keys, n))
                self.filler()
                self.put("," if n < len(value) - 1 or self.coin() else "")
            self.filler()
            self.put("]")
        elif isinstance(value, dict):
            self.put("{ ")
            for n, (key, item) in enumerate(value.items()):
                self.put(", " if n else "")
                self.pair(key, item, keys, "")
            self.put(" }")
        else:
            self.put(self.scalar(value))

    def scalar(self, value: object) -> str:
        if not isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)
        style = self.data.draw(st.integers(0, 3))
        if style == 0 and "'" not in value and "\n" not in value:
            return f"'{value}'"
        if style == 1 and QUOTES not in value and not value.endswith("'"):
            return f"{QUOTES}\n{value}{QUOTES}"
        if style == 2:
            return '"""\n' + value.replace("\\", "\\\\").replace('"""', '""\\"') + '"""'
        return json.dumps(value, ensure_ascii=False)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, st.data())
def test_every_key_is_on_the_line_where_it_was_written(
    document: dict[str, object], data: st.DataObject
) -> None:
    writer = Writer(data)
    writer.table(document, ())
    assert tomllib.loads(writer.text) == document, "the writer above wrote something else"
    assert key_lines(writer.text) == writer.lines


def test_line_of_falls_back_to_the_table_around() -> None:
    lines = key_lines("\n[a]\nb = 1\n[[c]]\n\n[[c]]\nd.e = 2\n")
    assert lines[("c", 1)] == 6
    assert lines[("c", 1, "d", "e")] == 7
    assert line_of(lines, ("a", "x")) == 2
    assert line_of(lines, ("c", 1, "x", "y")) == 6
    assert line_of(lines, ("z",)) == 1


def test_sub_table_of_the_newest_item() -> None:
    text = "[[a]]\n[a.b]\nx = 1\n[[a]]\n[a.b]\nx = 2\n[[a.c]]\ny = [\n  1, # one\n  2]\n"
    lines = key_lines(text)
    assert lines[("a", 0, "b", "x")] == 3
    assert lines[("a", 1, "b", "x")] == 6
    assert lines[("a", 1, "c", 0, "y", 1)] == 10


def test_quotes_before_the_closing_quotes() -> None:
    text = 'a = """x\n"""""\nb = \'\'\'y\n\'\'\'\'\nc = """"q"""\nd = 1979-05-27 07:32:32\ne = 1\n'
    lines = key_lines(text)
    assert [lines[(k,)] for k in "abcde"] == [1, 3, 5, 6, 7]
