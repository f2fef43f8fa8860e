"""Protection: sensors, validity, limits, alarm engine and the relay. No network, no scipy, no model."""
