"""The one error of the local stack, with a reason fit for a last line."""


class StackError(Exception):
    """A step of the local stack failed. The message says which and why, in one line."""
