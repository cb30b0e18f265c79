"""The WeChat simulator as a process of its own, as its users run it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

APP_ID = "wx00c0ffee00c0ffee"
APP_SECRET = "5ec2e75ec2e75ec2e75ec2e75ec2e700"


@contextmanager
def running_simulator(*options: str) -> Iterator[str]:
    """Its URL, for as long as the context lasts; `options` are further command-line flags."""
    command = [sys.executable, "-m", "wechat_kf_local.simulator", "--port", "0"]
    account = ["--app-id", APP_ID, "--app-secret", APP_SECRET]
    with subprocess.Popen(
        [*command, *account, *options], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
