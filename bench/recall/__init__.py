"""Whether a search finds the right memory: `python -m bench.recall`, or `make bench-recall`."""
