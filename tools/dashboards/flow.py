#!/usr/bin/env python3
"""Writes flow.json, the Node-RED flow of the dashboard, from its parts beside it; --check: has it drifted?

The parts are in files of their own because in a flow every function and template is one line of JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FLOW = HERE / "flow.json"
FLEET = {
    "colour": "", "machine": "machine", "place": "place", "device": "device", "online": "online",
    "level": "level", "running": "state", "zone": "zone", "score": "score of threshold",
    "waiting": "alarms waiting", "heard": "last heard",
}  # fmt: skip
"""Columns: key of a row, title."""
EVENTS = {key: key for key in ("time", "machine", "severity", "type", "message", "who", "why")}
CELLS = {"colour": "color", "online": "tickcross"}

Node = dict[str, Any]


def nodes() -> list[Node]:
    """Every node, those without a place on the sheet first."""
    return [
        {"id": "plant", "type": "tab", "label": "Plant", "info": "Written by tools/dashboards/flow.py."},
        {
            "id": "plant-broker", "type": "mqtt-broker", "name": "the plant's broker",
            "broker": "${BROKER_HOST}", "port": "${BROKER_PORT}", "protocolVersion": "5", "keepalive": "30",
            "cleansession": True, "autoConnect": True, "usetls": False, "autoUnsubscribe": True,
        },
        {
            "id": "plant-dashboard", "type": "ui-base", "name": "Plant", "path": "/dashboard",
            "includeClientData": False, "acceptsClientConfig": [],
            "headerContent": "dashboard", "navigationStyle": "none",
            "titleBarStyle": "fixed", "showReconnectNotification": True, "notificationDisplayTime": 2,
            "showDisconnectNotification": True, "allowInstall": False,
        },
        {
            "id": "plant-theme", "type": "ui-theme", "name": "Plain",
            "colors": {"surface": "#263238", "primary": "#1565c0", "bgPage": "#eceff1",
                       "groupBg": "#ffffff", "groupOutline": "#cfd8dc"},
            "sizes": {"density": "compact", "pagePadding": "12px", "groupGap": "12px",
                      "groupBorderRadius": "4px", "widgetGap": "8px"},
        },
        {
            "id": "plant-page", "type": "ui-page", "name": "Plant", "ui": "plant-dashboard", "path": "/plant",
            "theme": "plant-theme", "layout": "grid", "order": 1, "icon": "home",
            "visible": True, "disabled": False,
            "breakpoints": [{"name": "Default", "px": 0, "cols": 3}, {"name": "Tablet", "px": 576, "cols": 6},
                            {"name": "Desktop", "px": 1024, "cols": 12}],
        },
        group("fleet-group", "Fleet: click a machine to see it below", 12, 1),
        group("machine-group", "Machine", 4, 2),
        group("score-group", "Score, 1 = its threshold", 4, 3),
        group("velocity-group", "Velocity RMS, mm/s, in zones A to D", 4, 4),
        group("alarms-group", "Alarms", 6, 5),
        group("spectrum-group", "Velocity spectrum, mm/s RMS over Hz", 6, 6),
        group("events-group", "Events", 12, 7),
        {
            **on_sheet("everything", "mqtt in", 0, 0, [["listen"]]), "topic": "pdm/v1/#", "qos": "1",
            "datatype": "auto-detect", "broker": "plant-broker", "nl": False, "rap": True, "rh": 0,
            "inputs": 0,
        },
        function("listen", 1, 0, [["lines"], ["charts"]]),
        {
            **on_sheet("tick", "inject", 0, 2, [["show"]]), "name": "every second", "repeat": "1",
            "once": True, "onceDelay": "1", "props": [{"p": "payload"}], "payload": "", "payloadType": "date",
            "topic": "",
        },
        function("show", 1, 2, [["fleet"], ["machine"], ["alarms"], ["events"], ["score", "velocity"]]),
        {**table("fleet", 2, 2, FLEET, [["charts"]]), "selectionType": "click"},
        template("machine", 2, 3, [[]]),
        template("alarms", 2, 4, [["acknowledge"]]),
        table("events", 2, 5, EVENTS, [[]]),
        function("charts", 3, 0, [["score", "velocity"], ["score"], ["velocity"], ["lines"]]),
        function("lines", 4, 2, [["spectrum"]], part="spectrum.js"),
        chart("score", 4, 0, "time", "ts", "ratio"),
        chart("velocity", 4, 1, "time", "ts", "velocity"),
        {**chart("spectrum", 5, 2, "linear", "hz", "mm_s"), "action": "replace"},
        function("acknowledge", 3, 4, [["command"]]),
        {
            **on_sheet("command", "mqtt out", 4, 4, []), "topic": "", "qos": "1", "retain": "false",
            "broker": "plant-broker",
        },
    ]  # fmt: skip


def on_sheet(name: str, kind: str, column: int, row: int, wires: list[list[str]]) -> Node:
    """A node with a place in the tab; wires: names of the nodes behind each output."""
    return {
        "id": name, "type": kind, "z": "plant", "name": name, "x": 140 + 220 * column, "y": 80 + 80 * row,
        "wires": wires,
    }  # fmt: skip


def function(name: str, column: int, row: int, wires: list[list[str]], part: str = "") -> Node:
    code = (HERE / (part or f"{name}.js")).read_text(encoding="utf-8")
    node = on_sheet(name, "function", column, row, wires)
    return {
        **node,
        "func": code,
        "outputs": len(wires),
        "noerr": 0,
        "initialize": "",
        "finalize": "",
        "libs": [],
    }


def template(name: str, column: int, row: int, wires: list[list[str]]) -> Node:
    shown = (HERE / f"{name}.vue").read_text(encoding="utf-8")
    node = on_sheet(name, "ui-template", column, row, wires) | in_group(name)
    return {
        **node,
        "format": shown,
        "templateScope": "local",
        "passthru": False,
        "storeOutMessages": True,
        "fwdInMessages": False,
        "resendOnRefresh": True,
    }


def table(name: str, column: int, row: int, titles: dict[str, str], wires: list[list[str]]) -> Node:
    columns = [
        {"key": key, "keyType": "key", "title": title, "type": CELLS.get(key, "text"), "align": "start"}
        for key, title in titles.items()
    ]
    node = on_sheet(name, "ui-table", column, row, wires) | in_group(name)
    return {
        **node, "label": "", "action": "replace", "autocols": False, "columns": columns, "maxrows": 0,
        "passthru": False, "showSearch": False, "deselect": False, "selectionType": "none",
        "mobileBreakpoint": "sm", "mobileBreakpointType": "defaults",
    }  # fmt: skip


def chart(name: str, column: int, row: int, axis: str, x: str, y: str) -> Node:
    """Lines, one for each sensor; x, y: keys of a point."""
    node = on_sheet(name, "ui-chart", column, row, [[]]) | in_group(name)
    return {
        **node, "label": "", "chartType": "line", "interpolation": "linear", "action": "append",
        "category": "sensor", "categoryType": "property", "xAxisType": axis, "xAxisProperty": x,
        "xAxisPropertyType": "property", "xAxisFormat": "", "xAxisFormatType": "auto", "xAxisLabel": "",
        "yAxisProperty": y, "yAxisPropertyType": "property", "yAxisLabel": "", "ymin": "0", "ymax": "",
        "xmin": "", "xmax": "", "bins": 10, "pointShape": "false", "pointRadius": 1, "showLegend": True,
        "stackSeries": False, "removeOlder": 1, "removeOlderUnit": "3600", "removeOlderPoints": "1000",
        "height": 8,
        "colors": ["#1565c0", "#6a1b9a", "#00838f", "#ef6c00", "#2e7d32", "#ad1457", "#5d4037", "#455a64",
                   "#9e9d24"],
        "textColor": ["#424242"], "textColorDefault": False, "gridColor": ["#e0e0e0"],
        "gridColorDefault": False,
    }  # fmt: skip


def in_group(name: str) -> Node:
    return {"group": f"{name}-group", "order": 1, "width": 0, "height": 0, "className": ""}


def group(name: str, title: str, width: int, order: int) -> Node:
    return {
        "id": name, "type": "ui-group", "name": title, "page": "plant-page", "width": width, "height": 1,
        "order": order, "showTitle": True, "className": "", "visible": True, "disabled": False,
        "groupType": "default",
    }  # fmt: skip


def main() -> int:
    text = json.dumps(nodes(), indent=1, ensure_ascii=False) + "\n"
    if "--check" in sys.argv[1:]:
        if not FLOW.is_file() or FLOW.read_text(encoding="utf-8") != text:
            print("flow.json is not what its parts say; run tools/dashboards/flow.py", file=sys.stderr)
            return 1
        return 0
    FLOW.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
