"""Finds every state that a rack can reach by given moves, and draws what leads from one to another.

States are told apart by a name. Two that share a name must do the same at every move: a name that hides a
difference ends the exploration, so that no drawing says more than is so.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from appliance.guard.rack import Input, Rack, RackSpec, Tick

S = 1_000_000_000
_OLD_NS = 4 * S
_NO_MATTER = {"since_ns", "bypasses"}

Name = Callable[[Rack], str]
"""What a state is called."""


@dataclass(frozen=True, slots=True)
class Move:
    """What is given to the rack, so long after what came before. restart: then the power is cut."""

    label: str
    given: tuple[Input, ...] = (Tick(),)
    after_s: float = 0.0
    restart: bool = False


class Edge(NamedTuple):
    """Where a move leads, what is told of it, and why it was refused."""

    to: str
    told: tuple[str, ...]
    refused: str


class AmbiguousNameError(ValueError):
    """Two states share a name, and do not do the same."""


Edges = dict[tuple[str, Move], Edge]


def explore(spec: RackSpec, first: tuple[Input, ...], moves: tuple[Move, ...], name: Name) -> Edges:
    """Every move from every state that can be reached. first: what the rack begins with.

    Raises AmbiguousNameError.
    """
    begun = Rack(spec)
    begun.step(0, *first)
    waiting, seen, edges = deque([begun]), {_key(begun)}, Edges()
    while waiting:
        here = waiting.popleft()
        for move in moves:
            rack = Rack(spec, state=here.snapshot())
            rack, edge = _made(rack, move, name)
            known = edges.setdefault((name(here), move), edge)
            if known != edge:
                found = f"{name(here)!r}, {move.label!r}: {known} and {edge}"
                raise AmbiguousNameError(f"{found}; expected one of them; give the two states two names")
            if _key(rack) not in seen:
                seen.add(_key(rack))
                waiting.append(rack)
    return edges


def changing(edges: Edges) -> Iterator[tuple[str, str, Edge]]:
    """(from, label, where it leads) of all that changes or tells something.

    A move after a time is left out where the same move at once does the same.
    """
    for (name, move), edge in edges.items():
        at_once = (one for (other, sooner), one in edges.items() if other == name and _sooner(sooner, move))
        if (edge.to != name or edge.told or edge.refused) and edge not in at_once:
            yield name, move.label, edge


def drawn(edges: Edges) -> str:
    """A mermaid diagram of the states and of what leads from one to another."""
    names = dict.fromkeys(name for name, _ in edges)
    at = {name: f"s{k}" for k, name in enumerate(names)}
    labels: dict[tuple[str, str], list[str]] = {}
    for name, label, edge in changing(edges):
        if edge.to != name:
            labels.setdefault((name, edge.to), []).append(label.replace("`", ""))
    lines = [f'    state "{name}" as {key}' for name, key in at.items()]
    lines += ["    [*] --> s0"]
    lines += [f"    {at[a]} --> {at[b]} : {', or '.join(texts)}" for (a, b), texts in labels.items()]
    return "\n".join(("```mermaid", "stateDiagram-v2", *lines, "```", ""))


def listed(edges: Edges) -> str:
    """A Markdown table of the same, and of what is told or refused."""
    rows = ["| state | what comes | then | told |", "|---|---|---|---|"]
    for name, label, edge in changing(edges):
        told = ", ".join(f"`{what}`" for what in edge.told)
        told = f"refused: {edge.refused}" if edge.refused else told
        rows.append(f"| {name} | {label} | {'–' if edge.to == name else edge.to} | {told or '–'} |")
    return "\n".join(rows) + "\n"


def _made(rack: Rack, move: Move, name: Name) -> tuple[Rack, Edge]:
    outcome = rack.step(rack.now_ns + round(move.after_s * S), *move.given)
    changes = [*outcome.changes]
    if move.restart:
        now_ns, rack = rack.now_ns, Rack(rack.spec, kept=rack.kept())
        changes += rack.step(now_ns, Tick()).changes
    return rack, Edge(name(rack), tuple(change.what.value for change in changes), outcome.refused)


def _sooner(one: Move, other: Move) -> bool:
    return one.given == other.given and one.restart == other.restart and one.after_s < other.after_s


def _key(rack: Rack) -> bytes:
    """The same for states that differ only in when they are, and in what changes nothing."""
    return msgspec.json.encode(_relative(msgspec.to_builtins(rack.snapshot()), rack.now_ns))


def _relative(plain: object, now_ns: int, key: str = "") -> object:
    if isinstance(plain, dict):
        return {one: _relative(value, now_ns, one) for one, value in plain.items() if one not in _NO_MATTER}
    if isinstance(plain, int) and key.endswith("_ns"):
        return max(-_OLD_NS, min(_OLD_NS, plain - now_ns))
    return plain
