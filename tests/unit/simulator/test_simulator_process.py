"""The simulator as a process of its own: what it prints, its options, and its end."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

COMMAND = [sys.executable, "-m", "wechat_kf_local.simulator"]


@contextmanager
def _running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the address it has printed."""
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told_to(ending: signal.Signals) -> None:
    with (
        _running() as (process, url),
        # Somebody still watching must not keep it alive.
        requests.get(f"{url}/_sim/events", stream=True, timeout=5) as watching,
    ):
        assert watching.ok
        process.send_signal(ending)
        assert process.wait(10) == 0


def test_options_become_settings() -> None:
    options = ("--mode", "plain", "--format", "json", "--push-url", "http://127.0.0.1:1/p")
    with _running(*options) as (_process, url):
        settings = requests.get(f"{url}/_sim/config", timeout=5).json()

    chosen = (settings["mode"], settings["format"], settings["push_url"])
    assert chosen == ("plain", "json", "http://127.0.0.1:1/p")


def test_a_wrong_option_is_explained() -> None:
    command = [*COMMAND, "--encoding-aes-key", "too-short"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert ended.returncode == 2
    assert "43" in ended.stderr
    assert "too-short" not in ended.stderr


def test_help_needs_no_other_argument() -> None:
    ended = subprocess.run(
        [*COMMAND, "--help"], capture_output=True, text=True, timeout=20, check=True
    )

    assert "--token-life" in ended.stdout
