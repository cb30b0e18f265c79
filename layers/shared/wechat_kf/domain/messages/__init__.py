"""Messages to buyers, and the conversations they belong to."""
