"""Firmware of the predictive-maintenance appliance. Start reading at docs/MACHINE.md."""

__version__ = "0.1.0"
