"""Save the functions' logs from the emulator in one file next to the other logs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from wechat_kf_cli.stack.clients import aws_client
from wechat_kf_cli.stack.state import StackInfo, StateDirectory


def save(state: StateDirectory, info: StackInfo) -> None:
    """Write `functions.log`: the lines of all functions, sorted by time."""
    lines = sorted(lines_of(aws_client(info, "logs")))
    text = "".join(f"{_format_time(at)} {group}: {message}\n" for at, group, message in lines)
    state.log("functions").write_text(text)


def lines_of(logs: Any, since_ms: int = 0) -> Iterator[tuple[int, str, str]]:
    """Yield (epoch milliseconds, short name of the log group, message) of what was logged."""
    pages = logs.get_paginator("filter_log_events")
    for groups in logs.get_paginator("describe_log_groups").paginate():
        for group in groups["logGroups"]:
            name = group["logGroupName"]
            for page in pages.paginate(logGroupName=name, startTime=since_ms):
                for event in page["events"]:
                    yield event["timestamp"], name.rpartition("/")[2], event["message"].rstrip()


def _format_time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
