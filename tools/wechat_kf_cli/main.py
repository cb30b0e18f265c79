"""The command `wechat-kf`: the local stack, operators' and developers' commands."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer

from wechat_kf_cli import local_stack
from wechat_kf_cli.developers.environment import env
from wechat_kf_cli.developers.listen import listen
from wechat_kf_cli.developers.sign import sign
from wechat_kf_cli.developers.trigger import trigger
from wechat_kf_cli.ops.doctor import doctor
from wechat_kf_cli.ops.import_merchants import import_merchants
from wechat_kf_cli.ops.replay import replay
from wechat_kf_cli.stack.stack_error import StackError

FAILED, INTERRUPTED = 1, 130

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="WeChat customer service with sub-merchants: run it here, operate it, build against it.",
)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 the command is wrong, 130 stopped."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        app(list(arguments), prog_name="wechat-kf")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version("wechat-kf"))
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def _ending(command: Callable[..., int]) -> Callable[..., None]:
    """Make the result of a command its exit code, and its errors one line."""

    @functools.wraps(command)
    def ended(*arguments: Any, **options: Any) -> None:
        try:
            code = command(*arguments, **options)
        except StackError as error:
            print(error, file=sys.stderr)
            code = FAILED
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            code = INTERRUPTED
        raise typer.Exit(code)

    return ended


def _add(panel: str, commands: Mapping[str, Callable[..., int]]) -> None:
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(_ending(command))


_add(
    "The stack on this machine",
    {
        "up": local_stack.up,
        "down": local_stack.down,
        "run": local_stack.run,
        "status": local_stack.status,
        "logs": local_stack.logs,
    },
)
_add("For operators", {"doctor": doctor, "import": import_merchants, "replay": replay})
_add("For developers", {"env": env, "listen": listen, "trigger": trigger, "sign": sign})
# The simulator reads its own options: it is a program of its own too, which the stack starts.
app.command(
    "simulator",
    rich_help_panel="For developers",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
)(_ending(local_stack.simulator))
