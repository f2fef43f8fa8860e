"""Outbox to MQTT. No pins, no buses, no numpy."""
