"""The severity table: the values of the standards, and every fault of a file that is none."""

from pathlib import Path

import pytest

from appliance.errors import ConfigError
from appliance.severity import band_hz, table

ROW = "[[zones]]\nmachine = 'a'\nsource = 's'\nedges_mms = [1, 2, 3]\n"


def test_the_shipped_values() -> None:
    """ISO 10816-3:2009 groups 1 and 2, ISO 10816-1 Annex B classes, as their summaries print them."""
    assert {zones.machine: zones.edges_mms for zones in table()} == {
        "above 300 kW, rigid": (2.3, 4.5, 7.1),
        "above 300 kW, flexible": (3.5, 7.1, 11.0),
        "15-300 kW, rigid": (1.4, 2.8, 4.5),
        "15-300 kW, flexible": (2.3, 4.5, 7.1),
        "class I": (0.71, 1.8, 4.5),
        "class II": (1.12, 2.8, 7.1),
        "class III": (1.8, 4.5, 11.2),
        "class IV": (2.8, 7.1, 18.0),
    }


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "zones: missing"),
        (ROW + ROW, 6, "zones[1].machine: 'a' is already there"),
        (ROW.replace("2, 3", "2, 2"), 4, "zones[0].edges_mms: 1, 2, 2 do not rise"),
        (ROW.replace("1, 2", "0, 2"), 4, "zones[0].edges_mms[0]: 0 is out of range"),
        (ROW.replace(", 3", ""), 4, "expected an array of 3 values"),
        (ROW + "unit = 'mm/s'\n", 5, "zones[0].unit: unknown key"),
    ],
)
def test_a_file_that_is_no_table(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = tmp_path / "severity.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        table(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("rate_hz", "band"), [(2560.0, (10.0, 1000.0)), (2559.0, (10.0, 2559 / 2.56)), (30.0, None)]
)
def test_the_band_that_a_rate_carries(rate_hz: float, band: tuple[float, float] | None) -> None:
    assert band_hz(rate_hz) == band
