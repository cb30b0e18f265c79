"""The demo page: a buyer's phone and a merchant's desk, joined by the deployed stack."""
