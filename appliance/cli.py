"""The one entry point. A command is imported only when asked for: cold start is an import question."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one window needs one core; threads cost 8 MB each

from appliance import __version__
from appliance.errors import ApplianceError

Command = Callable[[Any], int]

_DEFAULT_CONFIG = Path("/etc/appliance/appliance.toml")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status (78: the configuration holds faults)."""
    arguments = _service(sys.argv[1:] if argv is None else argv) or _parsed(argv)
    try:
        status: int = arguments.command(arguments)
        sys.stdout.flush()
    except ApplianceError as fault:
        print(fault, file=sys.stderr)
        return fault.exit_status
    except KeyboardInterrupt:
        print("interrupted; nothing was changed", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone: what is still buffered must go nowhere quietly at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _service(argv: list[str]) -> SimpleNamespace | None:
    """`guard CONFIG`, `analysis CONFIG` and `uplink CONFIG` spare themselves the parser: 0.6 MB for good."""
    services = {"guard": _guard, "analysis": _analysis, "uplink": _uplink}
    if len(argv) != 2 or argv[0] not in services or argv[1].startswith("-"):
        return None
    return SimpleNamespace(command=services[argv[0]], config=Path(argv[1]))


def _parsed(argv: list[str] | None) -> argparse.Namespace:
    """What was typed. argparse of Python 3.11 finds no CONFIG behind `NAME --option`: it is taken here."""
    parser = _parser()
    arguments, left = parser.parse_known_args(argv)
    if len(left) == 1 and not left[0].startswith("-") and vars(arguments).get("config") is _DEFAULT_CONFIG:
        arguments.config = Path(left[0])
    elif left:
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    return arguments


def _guard(arguments: argparse.Namespace) -> int:
    # numpy.random asks `secrets` for a seed, and that loads OpenSSL: 3.4 MB that the guard has no use for.
    sys.modules.setdefault("_hashlib", None)  # type: ignore[arg-type]
    from appliance import check, log
    from appliance.guard import process

    log.start("guard")
    return process.run(check.load(arguments.config), arguments.config)


def _analysis(arguments: argparse.Namespace) -> int:
    from appliance import check, log
    from appliance.analysis import process

    log.start("analysis")
    return process.run(check.load(arguments.config), arguments.config.read_bytes())


def _uplink(arguments: argparse.Namespace) -> int:
    from appliance import check, log
    from appliance.daemon import Daemon
    from appliance.uplink import process

    log.start("uplink")
    config = check.load(arguments.config)
    daemon = Daemon("uplink")
    daemon.start("uplink", lambda worker: process.run(config, worker.stop, worker.beat), stall_s=30.0)
    return daemon.run()


def _run(arguments: argparse.Namespace) -> int:
    from appliance import check, log
    from appliance.desk.supervise import no_other, supervise

    log.start("run")
    no_other(check.load(arguments.config).run_dir)
    return supervise(arguments.config)


def _check(arguments: argparse.Namespace) -> int:
    from appliance import check

    print(check.describe(arguments.config))
    return 0


def _commission(arguments: argparse.Namespace) -> int:
    from appliance.desk import commission

    return commission.run(arguments)


def _status(arguments: argparse.Namespace) -> int:
    from appliance.desk import status

    return status.show(arguments.config, as_json=arguments.json)


def _request(arguments: argparse.Namespace) -> int:
    from appliance.desk import requests

    return requests.run(arguments)


def _selftest(arguments: argparse.Namespace) -> int:
    from appliance.desk import selftest

    return selftest.run(arguments.config, dry=arguments.dry, as_json=arguments.json)


def _learn(arguments: argparse.Namespace) -> int:
    from appliance.desk import learn

    return learn.run(arguments)


def _score(arguments: argparse.Namespace) -> int:
    from appliance.desk import score

    return score.run(arguments)


def _replay(arguments: argparse.Namespace) -> int:
    from appliance.desk import replay

    return replay.run(arguments)


def _evidence(arguments: argparse.Namespace) -> int:
    from appliance.desk import evidence_command

    return evidence_command.run(arguments)


def _bench(arguments: argparse.Namespace) -> int:
    from appliance.desk import bench

    return bench.run(as_json=arguments.json)


def _provision(arguments: argparse.Namespace) -> int:
    from appliance.desk import provision

    return provision.run(arguments)


def _model(arguments: argparse.Namespace) -> int:
    from appliance.desk import model

    return model.run(arguments)


def _condition(arguments: argparse.Namespace) -> int:
    from appliance.desk import condition

    return condition.run(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from appliance.desk import demo

    return demo.run(arguments.folder, arguments.picture)


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        prog="appliance",
        description="Predictive-maintenance appliance. A machine-protection aid, not a safety function.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    demo = add("demo", _demo, "the product in two minutes: a simulated machine wears, trips and is reported")
    demo.add_argument(
        "--folder", type=Path, help="where to run (default: a new folder under the system's own)"
    )
    demo.add_argument("--picture", type=Path, default=Path("demo.png"), help="default: demo.png")
    for name, command, text in (
        ("run", _run, "all processes in the foreground, restarted when they die"),
        ("guard", _guard, "the guard process alone: sensors, limits, relay"),
        ("analysis", _analysis, "the analysis process alone: features, model, score"),
        ("uplink", _uplink, "the uplink process alone: event store to MQTT"),
        ("check", _check, "list every fault of a configuration; exit status 78 if there are any"),
    ):
        _config_argument(add(name, command, text))
    selftest = add("selftest", _selftest, "sensors, relay, clock, disk, model and broker tried, a line each")
    _config_argument(selftest)
    selftest.add_argument("--dry", action="store_true", help="leave the relay alone")
    selftest.add_argument("--json", action="store_true")
    commission = add("commission", _commission, "guided at a terminal, from plugged in to guarded")
    _config_argument(commission)
    act = commission.add_mutually_exclusive_group()
    act.add_argument("--simulate", action="store_true", help="practise on a simulated machine of its own")
    act.add_argument("--again", action="store_true", help="learn a new baseline, as after maintenance")
    act.add_argument("--cancel", action="store_true", help="take the wish for a new baseline back")
    commission.add_argument("--who", default="", help="with --again and --cancel")
    commission.add_argument("--why", default="", help="the same")
    status = add("status", _status, "what the running guard sees now")
    _config_argument(status)
    status.add_argument("--json", action="store_true")
    _request_commands(add)
    _recording_commands(add)
    _evidence_commands(add("evidence", _evidence, "what was kept of each alarm; is it as it was written?"))
    _model_commands(add("model", _model, "the models of the sensors: look, install, try, promote, roll back"))
    _condition_commands(
        add("condition", _condition, "new operating conditions: what is gathered, is it normal?")
    )
    text = "an identity towards the plant: key and request, or the signed certificate"
    identity = add("provision", _provision, text)
    _config_argument(identity)
    identity.add_argument("--certificate", type=Path, metavar="FILE", help="what the authority signed")
    identity.add_argument("--ca", type=Path, metavar="FILE", help="the authority's own certificate")
    identity.add_argument("--broker", metavar="URL", help="as mqtts://broker.plant.example:8883")
    bench = add("bench", _bench, "features, inference and event store timed on this device")
    bench.add_argument("--json", action="store_true")
    return parser


def _request_commands(add: Callable[[str, Command, str], argparse.ArgumentParser]) -> None:
    for name, text in (
        ("reset", "clear a latched trip; refused while the Danger stands"),
        ("bypass", "hold trips off for a time; what is tripped stays tripped"),
        ("acknowledge", "say that somebody has seen the alarm of a channel"),
        ("shelve", "announce no Alert of a channel for a time; Danger is told and trips as ever"),
        ("prooftest", "drop the relay and let it back, to see that it does; the machine stops"),
    ):
        sub = add(name, _request, text)
        sub.set_defaults(ask=name)
        if name in ("acknowledge", "shelve"):
            sub.add_argument("channel", help="as in `appliance status`")
        _config_argument(sub)
        sub.add_argument("--who", required=True)
        if name == "acknowledge":
            sub.add_argument("--comment", default="")
        else:
            sub.add_argument("--why", required=True)
        if name in ("bypass", "shelve"):
            until = sub.add_mutually_exclusive_group(required=True)
            until.add_argument("--for", dest="duration", metavar="TIME", help="as 90s, 30m or 2h")
            until.add_argument("--end", action="store_true", help="end it now")


def _recording_commands(add: Callable[[str, Command, str], argparse.ArgumentParser]) -> None:
    learn = add("learn", _learn, "minutes of normal running into a bundle")
    learn.add_argument(
        "source", nargs="+", type=Path, help="recording (.csv .wav .npz), or a .toml to sample live"
    )
    learn.add_argument("--out", required=True, type=Path, help="folder of the bundle to write")
    learn.add_argument("--seed", type=int, default=1)
    score = add("score", _score, "score recordings with a bundle")
    score.add_argument("bundle", type=Path)
    score.add_argument("recording", nargs="+", type=Path)
    score.add_argument("--jsonl", type=Path, help="one JSON line per window")
    replay = add(
        "replay", _replay, "a recording through the very guard and analysis code, faster than real time"
    )
    replay.add_argument("recording", type=Path)
    replay.add_argument("--bundle", type=Path)
    replay.add_argument("--config", type=Path, help="limits to replay against (default: the defaults)")
    for sub in (learn, score, replay):
        sub.add_argument(
            "--rate", type=float, metavar="HZ", help="samples per second, where the file does not say"
        )
        sub.add_argument("--units", choices=("g", "m/s2"), help="default: g, where the file does not say")
        sub.add_argument("--axes", type=int, metavar="N", help="signal columns, where the file does not say")
        sub.add_argument("--sensor", metavar="NAME", help="which one of an evidence file of several")
    for sub in (learn, score):
        sub.add_argument(
            "--window-s", type=float, metavar="S", help="default: 1.28 (learn), the bundle's (score)"
        )
        sub.add_argument(
            "--overlap", type=float, metavar="F", help="default: 0.5 (learn), the bundle's (score)"
        )


def _evidence_commands(evidence: argparse.ArgumentParser) -> None:
    what = evidence.add_subparsers(required=True, metavar="WHAT", dest="what")
    for name, text in (
        ("list", "a line for each, oldest first"),
        ("show", "one alarm in words"),
        ("export", "WAV of each sensor and JSON of all the rest, for other tools"),
        ("protect", "keep it when the oldest has to go"),
        ("verify", "every part of all evidence, and the event log, against their SHA-256"),
    ):
        sub = what.add_parser(name, help=text, description=text)
        if name in ("show", "export", "protect"):
            sub.add_argument("name", help="as in `appliance evidence list` or in an event, or a file")
        if name == "show":
            sub.add_argument("--picture", type=Path, metavar="FILE.png", help="draw waveform and spectra")
        if name == "export":
            sub.add_argument("folder", type=Path)
        if name == "verify":
            sub.add_argument("--head", metavar="SEQ:SHA256", help="end of the log as the plant was told it")
        _config_argument(sub)


def _model_commands(model: argparse.ArgumentParser) -> None:
    acts = model.add_subparsers(required=True, metavar="ACT", dest="act")
    for name, text in (
        ("list", "slots, the latest trial and the latest acts of every sensor"),
        ("show", "one bundle: its origin and its card"),
        ("install", "take a signed bundle, or a delta against one here, as candidate"),
        ("shadow", "how the candidate, or the new model on probation, compares"),
        ("promote", "put the candidate in force; what was in force becomes previous"),
        ("rollback", "let active and previous change places"),
        ("export", "write a bundle of a slot, or its delta against another"),
    ):
        sub = acts.add_parser(name, help=text, description=text)
        if name == "install":
            sub.add_argument("bundle", type=Path, help="its folder, or a delta")
        if name == "export":
            sub.add_argument("out", type=Path, help="folder to write; with --against a file")
            sub.add_argument("--against", type=Path, metavar="BUNDLE", help="write a delta against this one")
        _config_argument(sub)
        sub.add_argument("--sensor", metavar="NAME", help="which one, where there are several")
        if name in ("show", "export"):
            sub.add_argument("--slot", choices=("active", "candidate", "previous"), default="active")
        if name == "shadow":
            sub.add_argument("--end", action="store_true", help="drop the candidate")
        if name == "promote":
            sub.add_argument("--untried", action="store_true", help="before its shadow has ended well")
        if name in ("install", "shadow", "promote", "rollback"):
            sub.add_argument("--who", default="", help="default: the user logged in")
            sub.add_argument("--why", default="")
    text = "sign a bundle with a key of yours; the key is made at first need"
    sign = acts.add_parser("sign", help=text, description=text)
    sign.add_argument("bundle", type=Path)
    sign.add_argument("--key", type=Path, required=True, help="file of the private key")
    sign.add_argument("--serial", type=int, required=True, help="larger than on any bundle signed before")
    sign.add_argument("--machine", default="any", help="site/area/asset/sensor it is for (default: any)")
    sign.add_argument(
        "--days", type=float, default=0.0, help="may be installed for so long (default: for ever)"
    )


def _condition_commands(condition: argparse.ArgumentParser) -> None:
    acts = condition.add_subparsers(required=True, metavar="ACT", dest="act")
    for name, text in (
        ("list", "what is known of each sensor"),
        ("accept", "what was gathered is normal: adapt the model to it; refused while an alarm stands"),
        ("refuse", "it is not normal: its scores count until the machine runs in a known way again"),
    ):
        sub = acts.add_parser(name, help=text, description=text)
        _config_argument(sub)
        if name != "list":
            sub.add_argument("--sensor", metavar="NAME", help="which one, where there are several")
            sub.add_argument("--who", required=True)
            sub.add_argument("--why", required=True)


def _config_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", nargs="?", type=Path, default=_DEFAULT_CONFIG, help=f"default: {_DEFAULT_CONFIG}"
    )
