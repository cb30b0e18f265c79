"""One function in a process of its own, against AWS and WeChat at an address that tests control.

    python -m tests.invoke_handler NAME ORIGIN WECHAT_ORIGIN    # the event on standard input

Writes what the function writes, and last a line with its answer or with the type it raised.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time

from benchmarks.invocations import Context
from benchmarks.template_environment import function_environment
from wechat_kf_cli.stack.state import ROOT


def main(name: str, origin: str, wechat: str) -> None:
    os.environ.update(
        function_environment(name),
        AWS_ENDPOINT_URL=origin,
        WECHAT_API_HOSTS=wechat,
        ALLOW_LOOPBACK_SUBSCRIBERS="true",
    )
    time.sleep = lambda _seconds: None  # the pauses between tries of a call
    sys.path[:0] = [str(ROOT / "layers" / "shared"), str(ROOT / "functions" / name)]
    handler = importlib.import_module(f"{name}_handler").handler
    try:
        result = {"answer": handler(json.load(sys.stdin), Context())}
    except Exception as error:
        result = {"raised": type(error).__name__}
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
