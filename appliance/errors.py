"""Faults the appliance can name. Each message says what was found, what was expected, what to do."""

EX_CONFIG = 78
"""Exit status of a configuration fault (sysexits.h); systemd does not restart on it."""


class ApplianceError(Exception):
    """A fault with a message for a person; `exit_status` is what the command ends with."""

    exit_status = 1


class ConfigError(ApplianceError):
    """The configuration file holds faults; the message lists all of them, one a line."""

    exit_status = EX_CONFIG


class BundleError(ApplianceError):
    """A model bundle is missing, damaged or does not fit this sensor."""


class LearningError(ApplianceError):
    """The data offered cannot make a baseline."""


class BudgetError(LearningError):
    """Slow change has gone farther than may be followed; a person has to look."""


class StoreError(ApplianceError):
    """The event store cannot be opened or written."""
