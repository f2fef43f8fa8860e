"""The device's own name from hardware files as boards have them."""

from pathlib import Path

import pytest
from msgspec import convert

from appliance.desk.device_id import device_id
from appliance.errors import ApplianceError
from appliance.sensors import Token

MACHINE = "b08dfa6083e7567a1921a715000001fb"
CPU = "processor\t: 0\nRevision\t: c03115\nSerial\t\t: 10000000a3B4c5d6\nModel\t\t: Raspberry Pi 4\n"


def machine(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / {"tree": "proc/device-tree/serial-number", "model": "proc/device-tree/model"}.get(
            name, {"cpu": "proc/cpuinfo", "id": "etc/machine-id"}.get(name, name)
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (
            {"tree": "10000000a3b4c5d6\0", "model": "Raspberry Pi 5 Model B\0", "id": MACHINE},
            "pi-10000000a3b4c5d6",
        ),
        ({"cpu": CPU, "model": "Raspberry Pi 4\0"}, "pi-10000000a3b4c5d6"),
        ({"tree": "1421 2190/08888\0", "model": "NVIDIA Jetson\0"}, "sn-1421219008888"),
        ({"tree": "x" * 60}, "sn-" + "x" * 28),
        ({"cpu": "Serial\t\t: 0000000000000000\n", "id": MACHINE + "\n"}, "mid-"),
        ({"tree": "0\0", "id": MACHINE}, "mid-"),
    ],
)
def test_the_name_is_of_the_board_or_else_of_the_installation(tmp_path, files, name):
    found, origin = device_id(machine(tmp_path, **files))
    assert found.startswith(name)
    assert convert(found, Token) == found
    assert origin.startswith("machine-id" if name == "mid-" else "serial number")


def test_the_machine_id_itself_is_never_shown(tmp_path):
    found, _ = device_id(machine(tmp_path, id=MACHINE))
    assert len(found) == 20
    assert not any(MACHINE[n : n + 6] in found for n in range(26))
    again, _ = device_id(machine(tmp_path, id=MACHINE[::-1]))
    assert again != found


def test_a_machine_without_any_is_told_what_to_do(tmp_path):
    with pytest.raises(ApplianceError, match=r"set machine\.device"):
        device_id(tmp_path)
