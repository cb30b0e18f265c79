"""Generators of documents and locked requirements, for those who work on the project."""
