"""Webhooks: signing, posting, and which addresses may be called."""
