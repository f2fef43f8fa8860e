"""Runs one benchmark by name; names are the modules beside this one, imported only when asked for."""

import ast
import importlib
import os
import pkgutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def names() -> dict[str, str]:
    """Benchmark -> the first line of its docstring, read without importing it."""
    found = sorted(module.name for module in pkgutil.iter_modules([str(HERE)]) if module.name != "__main__")
    return {name: first_line(HERE / f"{name}.py") for name in found}


def first_line(file: Path) -> str:
    return (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0]


def main(arguments: list[str]) -> int:
    known = names()
    if not arguments or arguments[0] not in known:
        found = (
            f"{arguments[0]!r} is no benchmark; "
            if arguments and arguments[0] not in ("-h", "--help")
            else ""
        )
        print(f"{found}usage: tools/bench NAME [options]", file=sys.stderr)
        for name, line in known.items():
            print(f"  {name:13} {line}", file=sys.stderr)
        return 2 if found or not arguments else 0
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")  # before numpy: CPU time of one core is what is compared
    status: int = importlib.import_module(f"tools.benchmarks.{arguments[0]}").main(arguments[1:])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
