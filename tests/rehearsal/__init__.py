"""The built artefact in Lambda's own runtime: see `make rehearsal`."""
