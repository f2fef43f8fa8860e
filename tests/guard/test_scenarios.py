"""Every scenario of tests/scenarios on the real trip path; one that is wrong fails with its timeline."""

from pathlib import Path

import pytest
from scenario import read
from stage import Stage

SCENARIOS = Path(__file__).parents[1] / "scenarios"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path) -> None:
    report = Stage(read(path), tmp_path).play()
    if report:
        pytest.fail(report, pytrace=False)
