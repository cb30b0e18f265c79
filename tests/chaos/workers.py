"""The processes in which the emulator runs a function: something to kill."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from wechat_kf_cli.stack.state import StackInfo


def workers(stack: StackInfo, function: str) -> list[int]:
    """The processes of this very stack's emulator that run `function` (`Push`, …).

    Empty where there is no /proc to find them in.
    """
    name = stack.outputs[f"{function}FunctionName"].encode()
    endpoint = str(urlsplit(stack.aws_endpoint_url).port).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:  # gone meanwhile, or not ours to look at
            continue
        if name in command and endpoint in environment:
            found.append(int(process.name))
    return found
