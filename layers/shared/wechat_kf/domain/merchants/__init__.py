"""Merchants: registration, changes, reconciliation, announcements, contact button."""
