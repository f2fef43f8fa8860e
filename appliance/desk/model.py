"""`appliance model`: what a person does with the models of the vibration sensors. See docs/MODELS.md."""

import argparse
import os
import pwd
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from appliance import check, disk
from appliance.analysis import bundle as bundles
from appliance.analysis import delta, intake, ledger, provenance, signature, slots
from appliance.analysis.bundle import Bundle
from appliance.analysis.ledger import Trial
from appliance.config import Config
from appliance.desk import requests
from appliance.errors import ApplianceError, BundleError
from appliance.records import ModelAct

_SHOWN_ACTS = 5
_PATIENCE_S = 3.0
_MOST_DAYS = 36_500
_Act = Callable[[argparse.Namespace], None]


def run(arguments: argparse.Namespace) -> int:
    """Do what `arguments.act` says; exit status 0. Raises ApplianceError with the reason of a refusal."""
    acts: dict[str, _Act] = {
        "list": _list,
        "show": _show,
        "install": _install,
        "shadow": _shadow,
        "promote": _promote,
        "rollback": _rollback,
        "export": _export,
        "sign": _sign,
    }
    acts[arguments.act](arguments)
    return 0


def _list(arguments: argparse.Namespace) -> None:
    config = _config(arguments)
    for sensor in _sensors(config, arguments.sensor):
        folder = config.bundle_dir(sensor)
        print(f"{sensor}: {config.machine_of(sensor)}")
        for slot in slots.SLOTS:
            print(f"  {slot:10s} {slots.target(folder, slot) or '-'}")
        if figures := ledger.trial(folder):
            print(f"  {_words(figures)}")
        for act in ledger.acts(folder)[-_SHOWN_ACTS:]:
            print(f"  {act.at} {act.who}: {act.what}: {act.model}{f' ({act.why})' if act.why else ''}")
    print(f"key of this device: {signature.public_key(signature.own_key(config.device_key_path))}")


def _show(arguments: argparse.Namespace) -> None:
    config, folder = _place(arguments)
    bundle = _in_slot(folder, arguments.slot)
    origin = bundle.manifest.origin
    ours = signature.public_key(signature.own_key(config.device_key_path))
    signer = "nobody" if not origin.signer else "this device" if origin.signer == ours else origin.signer
    print(f"{arguments.slot}: {bundle.id}, signed by {signer}, serial {origin.serial}, for {origin.machine}")
    print(f"may be installed until: {origin.not_after or 'any time'}")
    print(f"SHA-256 of its SHA256SUMS: {bundle.sha256}")
    print(f"golden outputs right on {bundle.runner.name}\n")
    print(bundle.files[bundles.CARD].decode())


def _install(arguments: argparse.Namespace) -> None:
    config, folder = _place(arguments)
    bundle = _offered(arguments.bundle, folder)
    sensor = folder.name
    slot = intake.admit(bundle, config, sensor)
    _note(arguments, folder, "installed", f"installed as {slot}", bundle.id)
    if slot == slots.ACTIVE:
        print(f"{sensor}: {bundle.id} is in force: there was none to compare it with")
    else:
        windows = config.models.shadow_windows
        print(f"{sensor}: {bundle.id} is the candidate; promote it after {windows} windows in shadow")


def _shadow(arguments: argparse.Namespace) -> None:
    _, folder = _place(arguments)
    candidate, figures = slots.target(folder, slots.CANDIDATE), ledger.trial(folder)
    if arguments.end:
        if candidate is None:
            raise BundleError(f"{folder.name}: found no candidate, expected one to end; nothing to do")
        slots.withdraw(folder, candidate)
        _note(arguments, folder, "candidate_removed", "candidate removed", candidate)
        print(f"{folder.name}: {candidate} is no longer a candidate")
    elif figures:
        print(_words(figures))
    else:
        print(f"{folder.name}: nothing has been tried yet; candidate: {candidate or 'none'}")


def _promote(arguments: argparse.Namespace) -> None:
    config, folder = _place(arguments)
    candidate = slots.target(folder, slots.CANDIDATE)
    if candidate is None:
        raise BundleError(
            f"{folder.name}: found no candidate, expected one to promote; install a bundle first"
        )
    figures = ledger.trial(folder)
    tried = figures and (figures.model, figures.stage, figures.verdict) == (candidate, "shadow", "good")
    if not tried and not arguments.untried:
        done = figures.windows if figures and figures.model == candidate else 0
        raise BundleError(
            f"{folder.name}: found {done} windows of {candidate} in shadow, expected "
            f"{config.models.shadow_windows}; wait while the machine runs, or promote it with --untried"
        )
    slots.promote(folder, candidate)
    _note(arguments, folder, "promoted", "promoted untried" if not tried else "promoted", candidate)
    windows = config.models.probation_windows
    print(f"{folder.name}: {candidate} is in force, on probation for {windows} windows")


def _rollback(arguments: argparse.Namespace) -> None:
    _, folder = _place(arguments)
    active = slots.target(folder, slots.ACTIVE)
    if active is None:
        raise BundleError(
            f"{folder.name}: found no model in force, expected one to roll back; install a bundle"
        )
    now = slots.rollback(folder, active)
    _note(arguments, folder, "rolled_back", f"rolled back from {active}", now)
    print(f"{folder.name}: {now} is in force again; {active} is kept as {slots.PREVIOUS}")


def _export(arguments: argparse.Namespace) -> None:
    _, folder = _place(arguments)
    bundle = _in_slot(folder, arguments.slot)
    if arguments.against is None:
        slots.save(bundle, arguments.out)
        print(f"{arguments.out}: {bundle.id}")
        return
    parent = bundles.load(arguments.against)
    data = delta.make(bundle, parent)
    try:
        disk.replace(arguments.out.absolute(), data)
    except OSError as fault:
        raise ApplianceError(
            f"{arguments.out}: cannot be written ({fault.strerror}); choose another"
        ) from fault
    whole = sum(map(len, bundle.files.values()))
    print(f"{arguments.out}: {bundle.id} against {parent.id}, {len(data)} of {whole} bytes")


def _sign(arguments: argparse.Namespace) -> None:
    if arguments.serial < 1 or not 0 <= arguments.days <= _MOST_DAYS:
        raise ApplianceError(
            f"--serial: expected 1 or more; --days: 0 (for ever) to {_MOST_DAYS}; correct them"
        )
    key = signature.own_key(arguments.key)
    until = ledger.iso(datetime.now(UTC) + timedelta(days=arguments.days)) if arguments.days else ""
    bundle = provenance.issue(
        bundles.load(arguments.bundle),
        key,
        serial=arguments.serial,
        machine=arguments.machine,
        not_after=until,
    )
    slots.save(bundle, arguments.bundle)
    print(f"{arguments.bundle}: {bundle.id}, serial {arguments.serial}, for {arguments.machine}")
    print(f"signed by {signature.public_key(key)}")


def _offered(path: Path, folder: Path) -> Bundle:
    """The bundle in a folder, or in a delta against one of the slots."""
    if path.is_dir():
        return bundles.load(path)
    data = bundles.read(path, "a bundle or a delta")
    try:
        return delta.apply(data, list(intake.parents(folder, print)))
    except BundleError as fault:
        raise BundleError(f"{path}: {fault}") from fault


def _in_slot(folder: Path, slot: str) -> Bundle:
    name = slots.target(folder, slot)
    if name is None:
        raise BundleError(f"{folder.name}: found nothing as {slot}, expected a bundle; see model list")
    return bundles.load(folder / name)


def _place(arguments: argparse.Namespace) -> tuple[Config, Path]:
    """The configuration and the slots of the sensor meant."""
    config = _config(arguments)
    sensors = _sensors(config, arguments.sensor)
    if len(sensors) > 1:
        raise ApplianceError(f"found {len(sensors)} sensors ({', '.join(sensors)}); say which with --sensor")
    return config, config.bundle_dir(sensors[0])


def _config(arguments: argparse.Namespace) -> Config:
    """The configuration; what we write is to be the analysis's own, so another user's hands are kept off."""
    config = check.load(arguments.config)
    if config.state_dir.is_dir() and (owner := config.state_dir.stat().st_uid) != os.geteuid():
        raise ApplianceError(
            f"{config.state_dir}: found user {_user(os.geteuid())}, expected its owner {_user(owner)}; "
            f"say sudo -u {shlex.quote(_user(owner))} appliance model …"
        )
    return config


def _user(uid: int) -> str:
    """The name of a user, or as sudo takes one without: a folder may come from another computer."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def _sensors(config: Config, chosen: str | None) -> list[str]:
    names = [spec.name for spec in config.vibration]
    if chosen is not None and chosen not in names:
        raise ApplianceError(f"--sensor {chosen}: not a vibration sensor; one of {', '.join(names)}")
    return names if chosen is None else [chosen]


def _words(figures: Trial) -> str:
    windows = max(1, figures.windows)
    lines = [
        f"{figures.stage} of {figures.model} beside {figures.other}: {figures.verdict or 'running'}",
        f"    {figures.windows} windows, same opinion on {1 - figures.disagreed / windows:.1%}",
        f"    abnormal {figures.alarms / windows:.1%} against {figures.other_alarms / windows:.1%}",
        f"    slowest {figures.slowest_ms:.2f} ms, {figures.late} late",
        f"    {figures.golden_failures} golden failures",
    ]
    return "\n".join([*lines, *([f"    {figures.reason}"] if figures.reason else [])])


def _note(arguments: argparse.Namespace, folder: Path, event: str, what: str, model: str) -> None:
    """Beside the slots, and into the guard's journal if one runs."""
    who = arguments.who or _user(os.getuid())
    try:
        ledger.note(folder, what, model, who, arguments.why)
    except OSError as fault:
        raise ApplianceError(f"{folder}: done, but not noted ({fault.strerror}); free the disk") from fault
    try:
        link = requests.connect(arguments.config)
    except ApplianceError:
        return
    sensor, kind = folder.name, f"model.{event}"
    try:
        link.send(ModelAct(sensor, kind, f"{model}: {what}", who=who, why=arguments.why))
        requests.event(link, sensor, (kind,), _PATIENCE_S)  # a link closed sooner would take it along
    finally:
        link.close()
