"""Trip groups that cannot vote as they say: members unknown or without a Danger, more votes than members."""

from collections.abc import Iterator, Mapping

from appliance.channel_list import Listed
from appliance.config import Config, Trip
from appliance.toml_lines import Keys
from appliance.toml_types import Fault
from appliance.toml_values import nearest


def miscounted(config: Config, channels: Mapping[str, Listed]) -> Iterator[Fault]:
    """Every fault of `[[trip]]` and of the names in `[limits.channels]`. channels: all of them by name."""
    owners: dict[str, Keys] = {}
    names: dict[str, int] = {}
    for name in config.limits.channels:
        yield from _unknown(config, name, ("limits", "channels", name), channels)
    for n, trip in enumerate(config.trip):
        first = names.setdefault(trip.name, n)
        if first != n:
            found = f"{trip.name!r} is already the name of trip[{first}]; expected a name of its own"
            yield Fault(("trip", n, "name"), f"{found}; rename one of them", (("trip", first, "name"),))
        for m, member in enumerate(trip.members):
            keys: Keys = ("trip", n, "members", m)
            yield from _unknown(config, member, keys, channels)
            yield from _silent(config, member, keys, channels)
            owner = owners.setdefault(member, keys)
            if owner != keys:
                found = f"{member!r} is already a member of trip[{owner[1]}]; expected each channel once"
                yield Fault(keys, f"{found}; remove it from one of them", (owner,))
        yield from _vote(trip, ("trip", n), channels)


def votes_for_trip(config: Config, one: Listed) -> bool:
    """Whether a Danger of the channel can come about at all; a silent model's cannot."""
    if any(levels.danger is not None for _, levels in one.levels):
        return True
    return not one.learned and (one.limit.not_ok or config.limits.not_ok) == "danger"


def _unknown(config: Config, name: str, keys: Keys, channels: Mapping[str, Listed]) -> Iterator[Fault]:
    if name in channels:
        return
    about: tuple[Keys, ...] = tuple(
        (part, n, "name")
        for part in ("vibration", "temperature", "transmitter")
        for n in range(len(getattr(config, part)))
    )
    found = f"{name!r} is no channel; expected one of {', '.join(channels)}"
    yield Fault(keys, f"{found}; {nearest(str(name), channels)}", about)


def _silent(config: Config, name: str, keys: Keys, channels: Mapping[str, Listed]) -> Iterator[Fault]:
    one = channels.get(name)
    if one is None or votes_for_trip(config, one):
        return
    found = f"{name!r} has no Danger, so it can never vote; expected a danger setpoint"
    remedy = f'add [limits.channels."{name}"] danger = …, or remove it from the group'
    yield Fault(keys, f"{found}; {remedy}", ((*one.keys, "danger"),))


def _vote(trip: Trip, keys: Keys, channels: Mapping[str, Listed]) -> Iterator[Fault]:
    members = (*keys, "members")
    need, of = trip.vote[:1], trip.vote[-1:]
    if of and (int(of) != len(trip.members) or int(need) > int(of)):
        found = f"{trip.vote} with {len(trip.members)} members; expected as many members as it says, and no"
        yield Fault((*keys, "vote"), f"{found} more votes than those; correct one of them", (members,))
    known = [channels[name] for name in trip.members if name in channels]
    if trip.learned == "with an absolute limit" and known and all(one.learned for one in known):
        found = "learned scores only, so it can never trip; expected an absolute limit among them"
        remedy = 'add one, or write learned = "alone, without any absolute limit"'
        yield Fault(members, f"{found}; {remedy}", ((*keys, "learned"),))
