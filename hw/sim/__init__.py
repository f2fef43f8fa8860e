"""Simulated hardware: a rotating machine that wears, sensors that fail, a relay that records its edges."""
