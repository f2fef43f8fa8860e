"""`tools/train`: models trained on a workstation."""

import argparse
import os
import sys
import time
from pathlib import Path

from appliance.analysis import provenance, signature, slots
from appliance.analysis.bundle import Bundle
from appliance.config import Analysis
from appliance.desk.progress import Progress
from appliance.errors import ApplianceError

MACHINES = 48
SECONDS = 60.0


def main(arguments: list[str]) -> int:
    """Run one command; the exit status."""
    chosen = _parser().parse_args(arguments)
    try:
        slots.require_place(chosen.out)
        bundle = _base(chosen) if chosen.command == "base" else _bundle(chosen)
    except KeyboardInterrupt:
        print("interrupted; nothing was changed", file=sys.stderr)
        return 130
    except (ApplianceError, ValueError) as fault:
        print(f"tools/train: {fault}", file=sys.stderr)
        return 1
    print(f"{chosen.out}: {bundle.id}")
    return 0


def created_utc_ns() -> int:
    """The clock, or SOURCE_DATE_EPOCH where a build is to be reproduced (reproducible-builds.org)."""
    epoch_s = os.environ.get("SOURCE_DATE_EPOCH")
    return time.time_ns() if epoch_s is None else int(epoch_s) * 10**9


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/train", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    defaults = Analysis()
    bundle = commands.add_parser("bundle", help="a bundle of one machine from its recordings, and a report")
    bundle.add_argument("recording", nargs="+", type=Path, help="normal running: .csv, .wav or .npz")
    bundle.add_argument("--faulty", nargs="+", type=Path, default=[], help="recordings of faults to judge by")
    bundle.add_argument("--report", type=Path, help="folder of the report; OUT-report if left out")
    bundle.add_argument("--most-bytes", type=int, default=32_768, help="largest model.tflite")
    bundle.add_argument("--most-us", type=float, default=1000.0, help="slowest inference here, p99, µs")
    bundle.add_argument("--rate", type=float, help="samples per second, where a file does not say")
    bundle.add_argument("--units", choices=("g", "mps2", "mg"), help="where a file does not say")
    bundle.add_argument("--axes", type=int, help="how many axes to take")
    bundle.add_argument("--sensor", help="which sensor of a file with several; its name in the bundle")
    base = commands.add_parser("base", help="a base model of simulated machines, for any machine")
    base.add_argument("--rate", type=float, default=3332.0, help="samples per second (3332)")
    base.add_argument("--axes", type=int, choices=(1, 2, 3), default=3)
    base.add_argument("--machines", type=int, default=MACHINES, help=f"how many ({MACHINES})")
    for command in (bundle, base):
        command.add_argument("--out", type=Path, required=True, help="folder of the bundle")
        command.add_argument("--window-s", type=float, default=defaults.window_s)
        command.add_argument("--overlap", type=float, default=defaults.overlap)
        command.add_argument("--seed", type=int, default=defaults.seed)
        command.add_argument("--key", type=Path, help="private key to sign with; made if it is not there")
        command.add_argument("--serial", type=int, default=1, help="larger than any signed before")
    return parser


def _base(chosen: argparse.Namespace) -> Bundle:
    from tools.training import base  # noqa: PLC0415

    shape = base.Shape(chosen.rate, chosen.axes, chosen.window_s, chosen.overlap)
    told = Progress(f"{chosen.machines} simulated machines")
    runs = []
    for number in range(chosen.machines):
        runs.append(shape.healthy(number, SECONDS))
        told((number + 1) / chosen.machines)
    told.done(f"{sum(map(len, runs))} windows")
    told = Progress("training")
    learnt = base.train(runs, shape.extractor.features, seed=chosen.seed, progress=told)
    told.done()
    return _saved(base.make(learnt, shape, chosen.out.name, created_utc_ns()), chosen)


def _bundle(chosen: argparse.Namespace) -> Bundle:
    from tools.training import workshop  # noqa: PLC0415

    bundle, findings = workshop.run(chosen, created_utc_ns())
    bundle = _saved(bundle, chosen)
    folder = chosen.report or chosen.out.with_name(f"{chosen.out.name}-report")
    workshop.report(bundle, findings, folder)
    print(f"{folder}: {'distilled, ' if findings.distillation.helps else ''}{findings.chosen.name}")
    return bundle


def _saved(bundle: Bundle, chosen: argparse.Namespace) -> Bundle:
    if chosen.key is not None:
        key = signature.own_key(chosen.key)
        bundle = provenance.issue(bundle, key, serial=chosen.serial)
        print(f"{chosen.out}: signed by {signature.public_key(key)}")
    slots.save(bundle, chosen.out)
    return bundle


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
