"""Generators of the documents."""
