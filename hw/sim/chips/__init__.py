"""Simulated chips: registers, FIFOs and conversions, byte for byte."""
