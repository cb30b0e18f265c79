"""The error of commands that work on a stack; its message is one line for people."""


class StackError(Exception):
    """A step on a stack failed. The message says which and why, in one line."""
