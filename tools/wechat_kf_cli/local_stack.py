"""The commands for the stack on this machine.

What they run is imported when they are called: operators' commands must work without it.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Annotated, Any

import typer

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import StateDirectory

NEEDED = ("aiohttp", "ministack", "samcli", "standardwebhooks")
"""What the extra `local` installs, by the names that are imported."""


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


def simulator(context: typer.Context) -> int:
    """Run the WeChat simulator alone, for any SDK; its own options follow (--help lists them)."""
    _import("simulator.server").main(context.args)
    return 0


def _stack(name: str) -> int:
    stack = _import("stack")
    return int(stack.run_command(StateDirectory.from_environment(), getattr(stack, name)))


def _import(module: str) -> Any:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise StackError(f"this needs {', '.join(missing)}: pip install 'wechat-kf[local]'")
    return importlib.import_module(f"wechat_kf_local.{module}")
