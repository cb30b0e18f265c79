"""Benchmarks: both sides measured in one run, medians and ratios. Run with `make bench`."""

import sys
from pathlib import Path

# The layer lies beside the functions, not in the environment: also for the processes started here.
sys.path.insert(0, str(Path(__file__).parents[1] / "layers" / "shared"))
