"""Merchants: registration, changes, reconciliation."""
