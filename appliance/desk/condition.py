"""`appliance condition`: what is known of new operating conditions, and whether they are normal."""

import argparse

from appliance import check
from appliance.desk import requests
from appliance.errors import ApplianceError
from appliance.requests import Learn, Reply

_PATIENCE_S = 20.0
"""An adaptation takes about a second; an SD card may take its time."""
_ANSWERS = ("model.adapted", "model.adaptation_refused", "condition.refused", "learn.refused")


def run(arguments: argparse.Namespace) -> int:
    """Do what `arguments.act` says; exit status 0 if it was done, 1 if refused. Raises ApplianceError."""
    if arguments.act == "list":
        return _list(arguments)
    names = [spec.name for spec in check.load(arguments.config).vibration]
    sensor = arguments.sensor or names[0]
    if sensor not in names or (len(names) > 1 and not arguments.sensor):
        raise ApplianceError(
            f"--sensor {arguments.sensor or 'is missing'}: expected one of {', '.join(names)}"
        )
    link = requests.connect(arguments.config)
    try:
        link.send(Learn(sensor, arguments.act, arguments.who, arguments.why))
        reply = requests.wait_for(link, Reply)
        if not reply.ok:
            print(reply.message)
            return 1
        answer = requests.event(link, sensor, _ANSWERS, _PATIENCE_S)
    finally:
        link.close()
    if answer is None:
        raise ApplianceError(
            f"asked, but nothing came of it within {_PATIENCE_S:.0f} s; see the log of analysis, ask again"
        )
    print(answer.message)
    return int(answer.severity != "info")


def _list(arguments: argparse.Namespace) -> int:
    for score in requests.state(arguments.config).scores:
        print(f"{score.sensor}: machine {score.state.value}; {score.reason or 'nothing new'}")
    return 0
