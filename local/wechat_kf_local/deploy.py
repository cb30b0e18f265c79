"""Build and deploy the real template into the emulator with the SAM CLI; read its outputs."""

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import ROOT, StateDirectory
from wechat_kf_local.emulator import REGION, Emulator, plain_environment
from wechat_kf_local.processes import last_line

STACK_NAME = "wechat-kf"
BUCKET_NAME = "wechat-kf-artifacts"
HOST_ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


@dataclass(frozen=True, slots=True)
class Command:
    """A running SAM command whose output goes to a log."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Wait for the command.

        Raises:
            StackError: it failed; the message has the last line of its log.
        """
        if self.process.wait() != 0:
            raise StackError(f"{self.name} failed: {last_line(self.log)}")

    def abandon(self) -> None:
        """Stop the command and its children if they are still running."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()


def build_environment() -> dict[str, str]:
    """Return the environment in which `sam build` builds the layer for this machine's Python."""
    return {
        **plain_environment(),
        "LAYER_ARCHITECTURE": "host",
        "PYTHON": sys.executable,
        "AWS_DEFAULT_REGION": REGION,
        "SAM_CLI_TELEMETRY": "0",
    }


def start_build(state: StateDirectory) -> Command:
    """Start `sam build` with wheels for this machine, because the emulator runs functions here."""
    build = state.directory("build")
    environment = build_environment()
    arguments = ["build", "--cached", "--cache-dir", str(build / "cache")]
    return _sam(state, [*arguments, "--build-dir", str(build / "sam")], environment)


def built_template(state: StateDirectory) -> Path:
    """Return where `start_build` writes the built template."""
    return state.directory("build") / "sam" / "template.yaml"


def deploy(
    state: StateDirectory,
    emulator: Emulator,
    parameters: Mapping[str, str],
    template: Path,
    stack_name: str = STACK_NAME,
) -> None:
    """Deploy a built template.

    Raises:
        StackError: CloudFormation refused it.
    """
    emulator.client("s3").create_bucket(Bucket=BUCKET_NAME)
    overrides = [f"{name}={value}" for name, value in parameters.items()]
    arguments = ["deploy", "--template-file", str(template), "--stack-name", stack_name]
    arguments += ["--s3-bucket", BUCKET_NAME, "--no-progressbar", "--no-confirm-changeset"]
    arguments += ["--capabilities", "CAPABILITY_IAM", "--parameter-overrides", *overrides]
    command = _sam(state, arguments, emulator.client_environment())
    try:
        command.wait()
    except StackError as error:
        refusal = _find_refusal(emulator, stack_name)
        raise StackError(f"{command.name} failed: {refusal}" if refusal else str(error)) from None
    finally:
        command.abandon()


def _find_refusal(emulator: Emulator, stack_name: str) -> str | None:
    """Find the first resource that failed and why: SAM's last line does not say."""
    pages = emulator.client("cloudformation").get_paginator("describe_stack_events")
    try:
        events = [
            one for page in pages.paginate(StackName=stack_name) for one in page["StackEvents"]
        ]
    except (BotoCoreError, ClientError):
        return None
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    if not failed:
        return None
    first = min(failed, key=lambda event: event["Timestamp"])
    return f"{first['LogicalResourceId']}: {first['ResourceStatusReason']}"


def outputs(emulator: Emulator) -> dict[str, str]:
    """Read the outputs of the deployed stack."""
    stacks = emulator.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}


def _sam(state: StateDirectory, arguments: list[str], environment: Mapping[str, str]) -> Command:
    name = f"sam {arguments[0]}"
    log = state.log(name.replace(" ", "-"))
    with log.open("w") as output:
        process = subprocess.Popen(
            ["sam", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Command(name, log, process)
