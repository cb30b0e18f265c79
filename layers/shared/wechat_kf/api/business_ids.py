"""How requests name a merchant."""

BUSINESS_ID = r"(0|[1-9][0-9]{0,19})"
"""A business id as WeChat and the events write it. One spelling only: with leading zeros the same
merchant would have a second conversation, and a second name in access policies."""
