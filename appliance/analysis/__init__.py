"""Windows, features, model, baseline and explanation. No pins, no buses, no network."""
