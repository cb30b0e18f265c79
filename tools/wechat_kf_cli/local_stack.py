"""The commands for the stack on this machine.

What they run is imported when they are called: operators' commands must work without it.
"""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import StateDirectory


def up() -> int:
    """Start the local stack in the background."""
    return _stack("start")


def down() -> int:
    """Stop the local stack and delete its state."""
    return _stack("stop")


def run(
    *,
    once: Annotated[bool, typer.Option("--once", help="End after the conversation.")] = False,
) -> int:
    """Start the local stack and play one conversation. Ctrl-C stops it."""
    return int(_import("walk").run(once=once))


def status() -> int:
    """Show what runs, and its URLs."""
    return _stack("print_status")


def logs(
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")
    ] = False,
    grep: Annotated[
        str, typer.Option(help="Only lines with this text or regular expression.")
    ] = "",
) -> int:
    """Show the last lines of every log of the local stack, functions included."""
    return int(_import("log_view").show(grep, follow=follow))


def _stack(name: str) -> int:
    stack = _import("stack")
    return int(stack.run_command(StateDirectory.from_environment(), getattr(stack, name)))


def _import(module: str) -> Any:
    try:
        return importlib.import_module(f"wechat_kf_local.{module}")
    except ModuleNotFoundError as error:
        missing = f"the local stack needs {error.name}"
        raise StackError(f"{missing}: pip install 'wechat-kf[local]'") from error
