"""Commands and generators that are not deployed."""
