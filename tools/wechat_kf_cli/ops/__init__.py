"""Commands for operators, against a deployed or a local stack."""
