"""What a person asks of the running guard: state, reset, bypass, acknowledge, shelve, proof test."""

import argparse
import re
import select
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TypeVar

from appliance import check, wire
from appliance.errors import ApplianceError
from appliance.records import Event, GuardState, Hello, Notice
from appliance.requests import Acknowledge, Bypass, Learn, ProofTest, Reply, Request, Reset, Shelve
from appliance.wire import Message

_PATIENCE_S = 3.0
_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
_QUESTION = "The relay drops and comes back: the machine stops. Go on? (yes/no) "
Answer = TypeVar("Answer", GuardState, Reply)


def run(arguments: argparse.Namespace) -> int:
    """The command `arguments.ask`; prints the guard's answer, exit status 0 if it was granted."""
    request = _request(arguments)
    if isinstance(request, ProofTest) and not _confirmed():
        print("nothing was asked of the guard")
        return 1
    return send(arguments.config, request)


def send(config: Path, request: Request | Learn) -> int:
    """Ask the guard that runs on this configuration and print its answer; 0 if granted, 1 if refused."""
    link = connect(config)
    try:
        link.send(request)
        reply = wait_for(link, Reply)
    finally:
        link.close()
    print(reply.message)
    return 0 if reply.ok else 1


def state(config: Path) -> GuardState:
    """The state of the guard that runs on this configuration. Raises ApplianceError: none answers."""
    link = connect(config)
    try:
        return wait_for(link, GuardState)
    finally:
        link.close()


def not_heard(socket: Path, fault: PermissionError) -> ApplianceError:
    """Why the guard does not hear us, in words."""
    words = "the guard hears root, its own user and group; ask as one of them"
    return ApplianceError(f"{socket}: {fault.strerror}; {words}")


def seconds(text: str) -> float:
    """`90s`, `30m`, `2h` in seconds. Raises ApplianceError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text, re.ASCII)
    found_s = float(match[1]) * _UNIT_S[match[2]] if match else 0.0
    if found_s <= 0.0:
        raise ApplianceError(f"--for {text}: expected a time above 0; write it as 90s, 30m or 2h")
    return found_s


def _request(arguments: argparse.Namespace) -> Request:
    who = arguments.who
    match arguments.ask:
        case "acknowledge":
            return Acknowledge(arguments.channel, who, arguments.comment)
        case "bypass":
            return Bypass(who, arguments.why, _duration_s(arguments))
        case "shelve":
            return Shelve(arguments.channel, who, arguments.why, _duration_s(arguments))
        case "prooftest":
            return ProofTest(who, arguments.why)
    return Reset(who, arguments.why)


def _duration_s(arguments: argparse.Namespace) -> float:
    return 0.0 if arguments.end else seconds(arguments.duration)


def _confirmed() -> bool:
    print(_QUESTION, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def connect(config: Path) -> wire.Link:
    """A link to the guard that runs on this configuration. Raises ApplianceError: none answers."""
    path = check.load(config).socket_path
    try:
        return wire.connect(path, Hello("status"))
    except PermissionError as fault:
        raise not_heard(path, fault) from fault
    except (OSError, wire.Closed) as fault:
        raise ApplianceError(f"{path}: no guard answers ({fault}); start it with `appliance run`") from fault


def wait_for(link: wire.Link, kind: type[Answer]) -> Answer:
    """The next message of this kind. Raises ApplianceError: none in time."""
    for message in _messages(link, _PATIENCE_S):
        if isinstance(message, kind):
            return message
    raise ApplianceError(f"the guard did not answer within {_PATIENCE_S:.0f} s; see its log")


def event(link: wire.Link, sensor: str, types: Collection[str], patience_s: float) -> Event | None:
    """The next event of one of these types about this sensor's model; None: none in time."""
    for message in _messages(link, patience_s):
        told = message.event if isinstance(message, Notice) else None
        if told and told.type in types and f": {sensor}: " in told.message:
            return told
    return None


def _messages(link: wire.Link, patience_s: float) -> Iterator[Message]:
    """What the guard says until the time is over. Raises ApplianceError: it closed the connection."""
    deadline_s = time.monotonic() + patience_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        select.select([link], [], [], left_s)
        try:
            message = link.receive()
        except wire.Closed as fault:
            raise ApplianceError(f"the guard closed the connection: {fault}; see its log") from fault
        if message is not None:
            yield message
