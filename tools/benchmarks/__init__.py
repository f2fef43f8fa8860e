"""Benchmarks: one module each, with `main(arguments) -> exit status`; `tools/bench NAME` runs one."""
