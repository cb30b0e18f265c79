"""The deployed functions with other settings for a while, as another deployment would give them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from wechat_kf_cli.stack.clients import aws_client
from wechat_kf_cli.stack.state import StackInfo


@contextmanager
def with_settings(stack: StackInfo, parts: Iterable[str], **variables: str) -> Iterator[None]:
    """`variables` in the environment of the functions `parts` (`Push`, …) while the block runs."""
    functions = aws_client(stack, "lambda")
    before: dict[str, Any] = {}
    try:
        for name in (stack.outputs[f"{part}FunctionName"] for part in parts):
            before[name] = functions.get_function_configuration(FunctionName=name)["Environment"]
            changed = {"Variables": {**before[name]["Variables"], **variables}}
            functions.update_function_configuration(FunctionName=name, Environment=changed)
        yield
    finally:
        for name, environment in before.items():
            functions.update_function_configuration(FunctionName=name, Environment=environment)
