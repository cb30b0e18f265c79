"""Clients and state of a running stack."""
