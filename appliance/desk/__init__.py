"""Commands for a person at a desk: demo, learn, score, replay, status, bench."""
