"""What several tests share: a real broker, a learnt machine; and the counts of the contract suites."""

import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import simulated
from real_broker import MOSQUITTO, Mosquitto

pytest.register_assert_rewrite("config_files", "refusals")  # their asserts explain themselves too

# A shell's background job ignores SIGINT, and so would every process that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After a run with tests/hw/contract in it: how each port's suite ended."""
    ports: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            file = Path(report.nodeid.partition("::")[0])
            if file.parent.name == "contract":
                ports.setdefault(file.stem.removeprefix("test_"), Counter())[outcome] += 1
    if ports:
        terminalreporter.section("contracts of the ports", "-")
    for port, counts in sorted(ports.items()):
        terminalreporter.line(f"{port:12s} {', '.join(f'{n} {outcome}' for outcome, n in counts.items())}")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Starts brokers: `mosquitto()` or `mosquitto("more settings")`; all are ended after the test."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    started: list[Mosquitto] = []

    def start(settings: str = "allow_anonymous true") -> Mosquitto:
        started.append(Mosquitto(tmp_path, settings))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture(scope="session")
def pump(tmp_path_factory: pytest.TempPathFactory) -> simulated.Learnt:
    """A bundle of the simulated machine; tests must not change it."""
    return simulated.learn(tmp_path_factory.mktemp("learnt"))


@pytest.fixture
def home(pump: simulated.Learnt, tmp_path: Path) -> Path:
    """A folder with a bundle in force and an old file of scores."""
    shutil.copytree(pump.bundle, tmp_path / "bundle")
    (tmp_path / "s.jsonl").write_text("old\n")
    return tmp_path
