"""Units as a person reads them beside a number."""

_SHOWN = {"1": "", "m/s2": "m/s²", "degC": "°C", "degC/min": "°C/min", "x threshold": "× threshold"}


def with_unit(number: str, unit: str) -> str:
    """`3.2` in `m/s2` as "3.2 m/s²"; a plain number (unit `1`) stands alone."""
    return f"{number} {_SHOWN.get(unit, unit)}".rstrip()
