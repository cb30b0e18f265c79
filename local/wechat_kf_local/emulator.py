"""Start MiniStack, the AWS emulator, on loopback with IAM enforcement and random keys."""

import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import requests

from wechat_kf_cli.stack.state import StateDirectory
from wechat_kf_local.processes import Service

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator and its root credentials, random per stack."""

    service: Service
    port: int
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client_environment(self) -> dict[str, str]:
        """Return the environment of a command that must reach this emulator and no real account."""
        return {
            **plain_environment(),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.2",
        }

    def client(self, service: Any) -> Any:
        """Create a boto3 client of the emulator with root credentials."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
        )

    def wait_until_ready(self) -> None:
        self.service.wait_for(self._check_health, READY_SECONDS)

    def _check_health(self) -> bool | None:
        try:
            return requests.get(f"{self.url}/_ministack/health", timeout=1).ok or None
        except requests.RequestException:
            return None


def start(state: StateDirectory) -> Emulator:
    """Start MiniStack on a free port. It is ready when `wait_until_ready` returns."""
    emulator = Emulator(
        service=Service(state, "emulator"),
        port=find_free_port(),
        access_key_id="AKIA" + secrets.token_hex(8).upper(),
        secret_access_key=secrets.token_urlsafe(30),
    )
    emulator.service.start(
        [sys.executable, "-m", "ministack.app"],
        {
            **plain_environment(),
            "GATEWAY_PORT": str(emulator.port),
            "BIND_HOST": "127.0.0.1",
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": emulator.access_key_id,
            "AWS_SECRET_ACCESS_KEY": emulator.secret_access_key,
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "MINISTACK_REGION": REGION,
            "LOG_LEVEL": os.environ.get("EMULATOR_LOG_LEVEL", "INFO"),
            "CLOUDTRAIL_RECORDING": os.environ.get("CLOUDTRAIL_RECORDING", "0"),
            "S3_DATA_DIR": str(state.directory("s3")),
            "TMPDIR": str(state.directory("tmp")),
            "STATE_DIR": str(state.directory("tmp")),
        },
    )
    return emulator


def plain_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the caller's environment without variables that redirect AWS, Python or make."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AWS_", "SAM_", "MINISTACK_", "PYTHON", "MAKE", "MFLAGS"))
    }
    # This interpreter's directory comes first, so that `sam` is the one of this environment.
    path = os.pathsep.join([os.path.dirname(sys.executable), environment.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "NO_PROXY": "127.0.0.1,localhost", "PYTHONUNBUFFERED": "1"}


def find_free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
