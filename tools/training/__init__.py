"""Training on a workstation: `tools/train`."""
