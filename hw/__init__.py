"""Everything that touches a bus, a pin or an accelerator. Imports nothing of `appliance`."""
