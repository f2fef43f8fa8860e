"""The set-up that tools/demo and tools/test share: what it says where something is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASH = shutil.which("bash")

pytestmark = pytest.mark.skipif(BASH is None, reason="bash is not installed")


def project(folder: Path) -> Path:
    """A copy of the scripts and pyproject.toml, without an environment, blind to this machine's sbin."""
    shutil.copytree(
        ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__", "benchmarks")
    )
    shutil.copy(ROOT / "pyproject.toml", folder)
    script = folder / "tools" / "environment"
    blind = script.read_text().replace(":/usr/local/sbin:/usr/sbin", "")
    assert blind != script.read_text()
    script.write_text(blind)
    return folder


def programs(folder: Path, *names: str, **scripts: str) -> str:
    """A PATH with nothing but these programs of the system and these scripts."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found, f"{name} is not installed"
        (folder / name).symlink_to(found)
    for name, script in scripts.items():
        (folder / name).write_text(f"#!{BASH}\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def run(path: str, tool: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert BASH is not None
    environment = {"PATH": path, "HOME": "/nonexistent", "CI": os.environ.get("CI", "")}
    command = [BASH, str(tool), *arguments]
    return subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, timeout=60, check=False
    )


BASICS = ("dirname", "basename", "id", "cat", "cksum")


def test_no_python(tmp_path: Path) -> None:
    old = programs(tmp_path / "bin", *BASICS, python3="exit 1")
    done = run(old, project(tmp_path / "p") / "tools" / "demo")
    assert done.returncode == 1
    assert "3.11 or newer is needed" in done.stderr
    assert not (tmp_path / "p" / ".venv").exists()


def test_a_python_that_cannot_make_environments(tmp_path: Path) -> None:
    script = 'case "$*" in *ensurepip*|*virtualenv*) exit 1;; *print*) echo 3.12;; esac'
    path = programs(tmp_path / "bin", *BASICS, python3=script)  # and no apt-get
    done = run(path, project(tmp_path / "p") / "tools" / "test")
    assert done.returncode == 1
    assert "run: apt install python3-venv" in done.stderr


def current(folder: Path, extras: str) -> Path:
    """A project whose environment needs nothing; its programs note how they are called."""
    (project(folder) / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "appliance"):
        program = folder / ".venv" / "bin" / name
        program.write_text(f'#!{BASH}\necho "{name} $*" >>"{folder}/calls"\n[ "$2" != mypy ]\n')
        program.chmod(0o755)
    with (folder / "pyproject.toml").open("rb") as file:
        stamp = subprocess.run(["cksum"], stdin=file, capture_output=True, check=True).stdout
    (folder / ".venv" / f"installed-{extras}").write_bytes(stamp)
    return folder


def calls(folder: Path) -> list[str]:
    return [line for line in (folder / "calls").read_text().splitlines() if " -c " not in line]


def test_demo_installs_only_what_has_changed(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", *BASICS)
    folder = current(tmp_path / "p", "demo")
    assert run(path, folder / "tools" / "demo", "--picture", "a b").returncode == 0
    assert calls(folder) == ["appliance demo --picture a b"]
    (folder / "pyproject.toml").write_text("[project]\n")
    (folder / "calls").unlink()
    for _ in range(2):
        assert run(path, folder / "tools" / "demo").returncode == 0
    install = f"python -m pip install --quiet --editable {folder}[demo]"
    assert calls(folder) == [install, "appliance demo", "appliance demo"]


def test_a_failed_check_fails_the_run_but_not_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "")
    path = programs(tmp_path / "bin", *BASICS, mosquitto="exit 0")
    folder = current(tmp_path / "p", "dev")
    assert run(path, folder / "tools" / "test", "-k", "x").returncode == 1  # mypy "failed", see current()
    assert calls(folder) == [
        "python -m ruff check",
        "python -m ruff format --check",
        "python -m mypy",
        "python -m pytest --numprocesses 2 --dist loadfile -k x",
    ]


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_no_mosquitto(tmp_path: Path, ci: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    path = programs(tmp_path / "bin", *BASICS)
    folder = current(tmp_path / "p", "dev")
    (folder / ".venv" / "bin" / "python").write_text(f"#!{BASH}\nexit 0\n")
    done = run(path, folder / "tools" / "test")
    assert done.returncode == status
    assert "run: apt install mosquitto" in done.stderr


def test_npm_packages_are_installed_once_for_each_lock(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    npm = f'echo "$*" >>{folder}/npm-calls'
    path = programs(tmp_path / "bin", *BASICS, "cut", "mkdir", "cp", "touch", npm=npm)
    lock, tool = folder / "tools" / "dashboards" / "package-lock.json", folder / "tools" / "need"
    tool.write_text('set -eu\nsource "$(dirname "$0")/environment"\nneed_npm "$root/tools/dashboards"\n')
    environment = {"PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def need() -> Path:
        done = subprocess.run(
            [str(BASH), str(tool)], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return Path(done.stdout.strip())

    first = need()
    assert need() == first
    assert (first / "package.json").is_file()
    lock.write_text("{}")
    assert need() != first
    calls = (folder / "npm-calls").read_text().splitlines()
    assert [call.split()[:3] for call in calls] == [["ci", "--prefix", str(at)] for at in (first, need())]


def test_no_npm(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    tool = folder / "tools" / "need"
    tool.write_text('set -eu\nsource "$(dirname "$0")/environment"\nneed_npm "$root/tools/dashboards"\n')
    done = run(programs(tmp_path / "bin", *BASICS, "cut"), tool)
    assert (done.returncode, done.stdout) == (1, "")
    assert "run: apt install nodejs npm" in done.stderr
