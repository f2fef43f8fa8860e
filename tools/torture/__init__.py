"""What tools/torture_uplink is made of."""
