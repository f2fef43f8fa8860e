"""The rules of the house: who may import whom, how large a file may be, which names are not used."""

import ast
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "appliance").rglob("*.py"), *(ROOT / "hw").rglob("*.py")])

# What the entry module of a process may not pull in, directly or through others.
FORBIDDEN_AT_RUN_TIME = {
    "appliance.guard.process": (
        "scipy", "paho", "ai_edge_litert", "tflite_runtime", "matplotlib",
        "appliance.analysis", "appliance.uplink", "appliance.console",
    ),
    "appliance.analysis.process": (
        "scipy.signal", "scipy.stats", "paho", "matplotlib", "serial", "gpiod",
        "appliance.guard", "appliance.uplink", "appliance.console",
    ),
    "appliance.uplink.process": (
        "numpy", "scipy", "hw", "ai_edge_litert", "matplotlib",
        "appliance.guard", "appliance.analysis", "appliance.console",
    ),
}  # fmt: skip

# The signal and model code: arrays in, arrays out.
PURE = (
    "window", "fft", "spectrum", "velocity_lines", "envelope", "features", "speed", "statistics", "state",
    "standard",
    "autoencoder", "quantize", "scorer", "explain", "baseline",
    "tail", "memory", "condition", "novelty", "adapt", "drift", "steadiness", "gathering",
    "slow_change", "adaptation",
)  # fmt: skip
IMPURE = {
    "os",
    "time",
    "socket",
    "logging",
    "sqlite3",
    "pathlib",
    "threading",
    "subprocess",
    "io",
    "shutil",
    "tempfile",
}
TOLERATED = {"appliance/analysis/fft.py imports pathlib.Path"}  # it finds scipy's compiled transform
FORBIDDEN_WORD = re.compile(r"manager|helper|util|info|handler", re.IGNORECASE)
WORDS_OF_THE_WIRE = {
    "appliance.uplink.topics.Info",
    "appliance.uplink.topics.InfoChannel",
}  # the topic `info`


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> Iterator[str]:
    """Full names of everything that a file imports, anywhere in it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def offenders(paths: list[Path], packages: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in imports(path)
        if any(is_in(name, package) for package in packages)
    ]


def below(folder: str) -> list[Path]:
    paths = [path for path in SOURCES if path.is_relative_to(ROOT / folder)]
    assert paths, f"nothing in {folder}: this test looks at the wrong place"
    return paths


@pytest.mark.parametrize("entry", FORBIDDEN_AT_RUN_TIME)
def test_a_process_loads_nothing_it_may_not(entry: str) -> None:
    program = f"import sys, json, {entry}; print(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    loaded = json.loads(done.stdout)
    assert entry in loaded
    assert [m for m in loaded for f in FORBIDDEN_AT_RUN_TIME[entry] if is_in(m, f)] == []


def test_hw_knows_nothing_of_the_appliance() -> None:
    assert offenders(below("hw"), {"appliance"}) == []


def test_nothing_imports_the_console() -> None:
    others = [path for path in SOURCES if not path.is_relative_to(ROOT / "appliance" / "console")]
    assert offenders([p for p in others if p.name != "cli.py"], {"appliance.console"}) == []


def test_guard_and_uplink_even_in_functions() -> None:
    """What a lazy import would hide from the test of the running process."""
    banned = {"scipy", "paho", "appliance.analysis", "appliance.uplink", "ai_edge_litert", "tflite_runtime"}
    assert offenders(below("appliance/guard"), banned) == []
    banned = {"hw", "numpy", "scipy", "appliance.analysis", "appliance.guard"}
    assert offenders(below("appliance/uplink"), banned) == []


def test_run_time_never_needs_the_slow_parts_of_scipy() -> None:
    desk = ROOT / "appliance" / "desk"
    paths = [path for path in SOURCES if not path.is_relative_to(desk)]
    assert offenders(paths, {"scipy.signal", "scipy.stats"}) == []


def test_signal_and_model_code_does_no_io() -> None:
    paths = [path for path in below("appliance/analysis") if path.stem in PURE]
    assert len(paths) >= 8
    assert [line for line in offenders(paths, IMPURE) if line not in TOLERATED] == []


def test_records_requests_errors_and_clock_depend_on_nothing() -> None:
    paths = [ROOT / "appliance" / f"{name}.py" for name in ("records", "requests", "errors", "clock")]
    assert (
        offenders(paths, {"appliance.guard", "appliance.analysis", "appliance.uplink", "hw", "numpy"}) == []
    )


def test_files_are_small() -> None:
    sizes = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: size for path, size in sizes.items() if size > 400} == {}
    assert statistics.median(size for path, size in sizes.items() if path.name != "__init__.py") <= 150


def is_stub(node: ast.ClassDef | ast.FunctionDef) -> bool:
    """`def full_s(self) -> float: ...` of a Protocol, whose class says what it is."""
    return isinstance(node, ast.FunctionDef) and ast.unparse(node.body[-1]) == "..."


def definitions(body: list[ast.stmt], where: str) -> Iterator[tuple[str, ast.stmt]]:
    """(place, definition) of every public class, function and method."""
    for node in body:
        if (
            isinstance(node, ast.ClassDef | ast.FunctionDef)
            and not node.name.startswith("_")
            and not is_stub(node)
        ):
            yield f"{where}.{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node.body, f"{where}.{node.name}")


def test_everything_public_has_a_contract() -> None:
    missing = [
        place
        for path in SOURCES
        for place, node in definitions(tree_of(path).body, module_of(path))
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not ast.get_docstring(node)
    ]
    assert missing == []


def test_no_names_that_say_nothing() -> None:
    classes = [
        f"{module_of(path)}.{node.name}"
        for path in SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
    ]
    assert len(classes) > 10
    names = [module_of(path) for path in SOURCES] + classes
    assert {name for name in names if FORBIDDEN_WORD.search(name)} <= WORDS_OF_THE_WIRE


def test_no_fault_is_swallowed() -> None:
    """`except Exception: log` is not a plan: a broad except must end in a raise or keep the fault."""
    swallowed = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
        )
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    ]
    assert swallowed == []


@pytest.mark.parametrize("folder", ["appliance", "hw", "tests", "tools"])
def test_no_file_names_a_place_on_one_machine(folder: str) -> None:
    """A path of somebody's machine in a source file works on that machine only."""
    here = Path(__file__).resolve()
    places = re.compile(r"/(?:home|Users|work)/\w")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file()
        and path != here
        and "__pycache__" not in path.parts
        and path.suffix in {".py", ".md", ".toml", ""}
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if places.search(line)
    ]
    assert found == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
