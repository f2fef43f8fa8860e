"""What the plant asks: checked, passed to the guard or done, and answered once. Nothing here waits.

A retained command is ignored; one that is not allowed, too frequent, old or unfit is refused with words. The
guard asks again whether it may; an act that the uplink does itself is noted in the guard's journal first.
"""

import hashlib
import logging
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from appliance.config import Config
from appliance.requests import Acknowledge, Learn, Offer, PlantAct, Reply, Request, Reset, Shelve
from appliance.uplink import command as said
from appliance.uplink.broker import Broker
from appliance.uplink.caller import Caller, answer
from appliance.uplink.command import COMMANDS, Answer, Command, Unfit, decode
from appliance.uplink.feed import Feed
from appliance.uplink.outbox import Outbox
from appliance.uplink.packets import Received
from appliance.uplink.rate import Rate
from appliance.uplink.requested import MOST, Range, Requested, Sending
from appliance.uplink.topics import prefix
from appliance.uplink.wave import Waveforms

log = logging.getLogger(__name__)

_PATIENCE_S = 3.0
_MOST_WAITING = 40
_MOST_ANSWERS = 100
_MOST_REMEMBERED = 256
_OFTEN = "refused: too many commands; expected 20 at once, then one a second; wait"
_SILENT = "refused: the guard did not answer within 3 s; it may do it yet; look at state before you ask again"

_Granted = Callable[[], tuple[str, str | UnsetType]]
"""What the uplink does once the guard has noted it; returns the answer's words and the upload's id."""


class _Asked(NamedTuple):
    """What waits for the guard's reply."""

    caller: Caller
    until_s: float
    granted: _Granted | None


class Commands:
    """All commands to one appliance. Times are the caller's monotonic seconds."""

    def __init__(self, config: Config, feed: Feed, retell: Callable[[], None]) -> None:
        """retell: tell everything retained again."""
        self._settings = config.uplink.commands
        self._prefix = prefix(config.machine)
        self._feed = feed
        self._retell = retell
        self._waveforms = Waveforms(config.state_dir / "evidence")
        self._rate = Rate(("", *COMMANDS))
        self._over_s = -math.inf
        self._remembered: OrderedDict[tuple[str, str], tuple[bytes, Answer | None]] = OrderedDict()
        self._asked: deque[_Asked | None] = deque()
        self._answers: deque[tuple[Caller, Answer]] = deque(maxlen=_MOST_ANSWERS)
        self._requested = Requested()
        self._rebirth = False

    @property
    def filters(self) -> tuple[str, ...]:
        """What the broker is to listen to: nothing where nothing is allowed."""
        return ("cmd/+",) if self._settings.allow else ()

    def patience_s(self, most_s: float) -> float:
        """How long the loop may wait on our account, at most `most_s`."""
        return min(most_s, 0.1) if any(self._asked) or self._requested.busy else most_s

    def lost(self) -> None:
        """The connection has ended."""
        self._requested.lost()

    def exchange(self, broker: Broker, outbox: Outbox, now_s: float) -> None:
        """Take in what came, answer what is done, send what was asked for. Raises Lost."""
        for one in broker.received():
            self._hear(one, broker, outbox, now_s)
        self._take_replies(now_s)
        if self._rebirth and broker.room:
            self._rebirth = False
            broker.birth()
            self._retell()
        while self._answers and broker.room:
            caller, told = self._answers.popleft()
            caller.answer(broker, self._prefix, told)
        self._requested.send(broker, outbox)

    def _hear(self, one: Received, broker: Broker, outbox: Outbox, now_s: float) -> None:
        caller = Caller.of(one)
        if one.retained:
            log.warning("command %s: ignored, because it is retained; publish it without", caller.name)
            return
        if not self._rate.allows(caller.name, now_s):
            if now_s - self._over_s >= 1.0:
                self._over_s = now_s
                self._refuse(caller, _OFTEN)
            return
        try:
            caller.require_answerable()
            command = self._admitted(caller.name, one, version5=broker.version5)
            if not self._is_repeated(caller, one.payload):
                self._obey(command, caller, broker, outbox, now_s)
        except Unfit as reason:
            self._refuse(caller, f"refused: {reason}")

    def _admitted(self, name: str, one: Received, *, version5: bool) -> Command:
        """The command, if it may be obeyed at all. Raises Unfit."""
        allowed = next((each for each in self._settings.allow if each == name), None)
        if allowed is None:
            raise Unfit(
                f"{name or 'this command'} is not enabled; see uplink.commands.allow of the appliance"
            )
        if version5 and one.expiry_s is None:
            raise Unfit(
                "found no Message Expiry; expected one, or it might come too late; send it with MQTT 5"
            )
        return decode(allowed, one.payload)

    def _is_repeated(self, caller: Caller, payload: bytes) -> bool:
        """Whether this very command came before: it is answered as then. Raises Unfit: its id is used up."""
        key, digest = (caller.name, caller.id), hashlib.sha256(payload).digest()
        if key not in self._remembered:
            self._remembered[key] = (digest, None)
            if len(self._remembered) > _MOST_REMEMBERED:
                self._remembered.popitem(last=False)
            return False
        before, told = self._remembered[key]
        if before != digest:
            raise Unfit("this id stood in another command; expected a new one for each; choose another")
        if told:
            self._answers.append((caller, told))
        return True

    def _obey(self, command: Command, caller: Caller, broker: Broker, outbox: Outbox, now_s: float) -> None:
        """Do it, or ask the guard. Raises Unfit: neither; it may come again."""
        log.info("command %s by %s", caller.name, command.who)
        try:
            match command:
                case said.Ping():
                    self._finish(caller, Reply(ok=True, message="here"))
                case said.Rebirth():
                    self._rebirth = True
                    self._finish(caller, Reply(ok=True, message="told again"))
                case said.ReplayEvents():
                    self._ask(caller, now_s, *self._replayed(command, outbox))
                case said.SendEvidence():
                    self._ask(caller, now_s, *self._uploaded(command, outbox, broker))
                case _:
                    self._ask(caller, now_s, _request(command), None)
        except Unfit:
            del self._remembered[caller.name, caller.id]
            raise

    def _replayed(self, command: said.ReplayEvents, outbox: Outbox) -> tuple[PlantAct, _Granted]:
        first, last = command.from_seq, command.to_seq
        kept = outbox.count_kept(first, last)
        if not kept:
            raise Unfit(
                f"none of the events {first} to {last} is kept as delivered; see seq of the last event"
            )
        if len(self._requested.ranges) == MOST:
            raise Unfit(f"{MOST} ranges wait already; expected fewer; ask when they have come")

        def granted() -> tuple[str, str | UnsetType]:
            self._requested.ranges.append(Range(first, last))
            return f"{kept} of {last - first + 1} events follow", UNSET

        return PlantAct(f"events {first} to {last} again", _who(command)), granted

    def _uploaded(
        self, command: said.SendEvidence, outbox: Outbox, broker: Broker
    ) -> tuple[PlantAct, _Granted]:
        if not self._settings.waveforms:
            raise Unfit("waveforms stay on this device; see uplink.commands.waveforms of the appliance")
        if len(self._requested.uploads) == MOST:
            raise Unfit(f"{MOST} uploads wait already; expected fewer; ask when they have come")
        sending = self._found(command, outbox, broker.most_bytes("wave/chunk"))
        upload = sending.upload

        def granted() -> tuple[str, str | UnsetType]:
            self._requested.uploads.append(sending)
            return f"{len(sending.missing or range(upload.pieces))} chunks follow", upload.id

        return PlantAct(f"evidence {upload.name}, {upload.size_bytes} bytes", _who(command)), granted

    def _found(self, command: said.SendEvidence, outbox: Outbox, most_bytes: int) -> Sending:
        if command.upload and command.missing:
            upload = self._waveforms.resumed(command.upload, command.missing, most_bytes)
            return Sending(upload, command.missing)
        name = command.name or outbox.evidence_of(command.event or 0)
        if not name:
            raise Unfit(
                f"event {command.event} has no evidence here; expected the id of an alarm that is kept"
            )
        return Sending(self._waveforms.named(name, most_bytes))

    def _ask(
        self,
        caller: Caller,
        now_s: float,
        request: Request | Learn | Offer | PlantAct,
        granted: _Granted | None,
    ) -> None:
        if len(self._asked) >= _MOST_WAITING or not self._feed.ask(request):
            raise Unfit("the guard is not there or does not keep up; see that it runs, ask again")
        self._asked.append(_Asked(caller, now_s + _PATIENCE_S, granted))

    def _take_replies(self, now_s: float) -> None:
        """What the guard said, in the order in which it was asked; or that it said nothing for too long."""
        while self._feed.replies:
            reply, asked = self._feed.replies.popleft(), self._asked.popleft()
            if asked is None:
                log.warning("the guard replied too late: %s", reply.message)
                continue
            upload: str | UnsetType = UNSET
            if reply.ok and asked.granted:
                words, upload = asked.granted()
                reply = Reply(ok=True, message=words)
            self._finish(asked.caller, reply, upload)
        for n, asked in enumerate(self._asked):
            if asked and now_s >= asked.until_s:
                self._asked[n] = None
                self._finish(asked.caller, Reply(ok=False, message=_SILENT))

    def _finish(self, caller: Caller, reply: Reply, upload: str | UnsetType = UNSET) -> None:
        """Answer, and remember it for the case that the command is repeated."""
        told = answer(caller, reply, upload)
        if known := self._remembered.get((caller.name, caller.id)):
            self._remembered[caller.name, caller.id] = (known[0], told)
        self._answers.append((caller, told))

    def _refuse(self, caller: Caller, words: str) -> None:
        log.warning("command %s: %s", caller.name, words)
        self._answers.append((caller, answer(caller, Reply(ok=False, message=words))))


def _request(command: Command) -> Request | Learn | Offer:
    """What the guard is asked."""
    who = _who(command)
    match command:
        case said.Ack():
            return Acknowledge(command.channel, who, command.comment)
        case said.ShelveAlert():
            return Shelve(command.channel, who, command.why, command.duration_s)
        case said.LearnNormal():
            return Learn(command.sensor, command.act, who, command.why)
        case said.OfferModel():
            return Offer(command.sensor, command.delta, who, command.why)
        case said.ResetTrip():
            return Reset(who, command.why)
    raise AssertionError(command)


def _who(command: Command) -> str:
    return f"mqtt:{command.who}"
