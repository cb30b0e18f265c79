"""Commands for developers who build against a stack."""
