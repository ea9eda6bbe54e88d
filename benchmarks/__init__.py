"""What streamio costs, measured against the loops one would write by hand and against its peers: `python -m benchmarks --help`."""
