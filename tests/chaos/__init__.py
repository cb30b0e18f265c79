"""Storms with a seed: what must not get lost, repeated or out of order, and a table that tells."""

import os

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "chaos")
