"""Both sides in one run, medians and ratios: `make bench`."""
