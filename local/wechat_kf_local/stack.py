"""Start and stop the whole stack on this machine.

`LOCAL_DIR` names the directory with the stack's state (default `.local`). Two directories hold two
independent stacks.
"""

import hashlib
import json
import secrets
import signal
import string
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import ROOT, StackInfo, StateDirectory
from wechat_kf_local import deploy, emulator
from wechat_kf_local.batch_permissions import grant_batches
from wechat_kf_local.emulator import Emulator, plain_environment
from wechat_kf_local.processes import Service
from wechat_kf_local.routes import import_routes

SERVICES = ("emulator", "simulator", "receiver", "page")
READY_SECONDS = 20.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class WeChatAccount:
    """The simulated Mini Program, generated for each stack."""

    app_id: str
    app_secret: str = field(repr=False)
    push_token: str = field(repr=False)
    encoding_aes_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Servers:
    """URLs of the local servers."""

    simulator: str
    receiver: str
    page: str


class Progress:
    """Prints each completed step with the time since the start."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()

    def __call__(self, text: str) -> None:
        print(f"{self._clock() - self._start:6.1f} s  {text}", flush=True)


def up(state: StateDirectory, progress: Progress, template: Path | None = None) -> StackInfo:
    """Start the stack, or use the running one. On failure nothing is left running.

    Args:
        template: A built template to deploy; without one, build it for this machine's Python.

    Raises:
        StackError: with the reason.
    """
    with state.exclusive():
        if is_up(state):
            return _use_running(state, progress)
        _stop(state)
        try:
            info = _start(state, progress, template)
        except BaseException:
            _stop(state)
            raise
        state.write(info)
        return info


def _use_running(state: StateDirectory, progress: Progress) -> StackInfo:
    info = state.read()
    if info.sources != sources_digest():
        raise StackError(
            "the running stack was started from different code: run `wechat-kf down` first"
        )
    progress("stack is already up")
    return info


def sources_digest() -> str:
    """Hash everything that a stack is made from."""
    files = [ROOT / "template.yaml"]
    for folder in ("functions", "layers", "local"):
        files += sorted((ROOT / folder).rglob("*"))
    digest = hashlib.sha256()
    for file in files:
        if file.is_file() and file.suffix != ".pyc":
            digest.update(file.read_bytes())
    return digest.hexdigest()


def down(state: StateDirectory) -> None:
    """Stop everything this stack runs. Does nothing when it is down."""
    with state.exclusive():
        _stop(state)


def is_up(state: StateDirectory) -> bool:
    return state.stack_file.exists() and all(Service(state, name).is_running() for name in SERVICES)


def _start(state: StateDirectory, progress: Progress, template: Path | None) -> StackInfo:
    account = _new_account()
    with _building(state, template) as build:
        started = [
            _start_server(state, "simulator", "wechat_kf_local.simulator"),
            _start_server(state, "receiver", "wechat_kf_local.webhook_receiver"),
            _start_server(state, "page", "wechat_kf_local.page"),
        ]
        aws = emulator.start(state)
        servers = Servers(*map(_url_of, started))
        aws.wait_until_ready()
        progress("emulator, WeChat simulator, webhook receiver and demo page started")
        built = build()
    progress("layer built")
    deploy.deploy(state, aws, _parameters(account, servers.simulator), built)
    outputs = deploy.outputs(aws)
    progress(f"template deployed: {len(outputs)} outputs")
    grant_batches(aws, deploy.STACK_NAME)
    routes = import_routes(aws, deploy.STACK_NAME, outputs["ApiId"])
    info = _describe(aws, account, outputs, servers)
    _put_secrets(aws, account, outputs)
    _configure_simulator(info, account)
    progress(f"{len(routes)} routes, secrets and push settings configured")
    return info


@contextmanager
def _building(state: StateDirectory, template: Path | None) -> Iterator[Callable[[], Path]]:
    """Start the build, unless `template` is given. The callable waits for the built template."""
    if template is not None:
        yield lambda: template
        return
    build = deploy.start_build(state)

    def wait_for_build() -> Path:
        build.wait()
        return deploy.built_template(state)

    try:
        yield wait_for_build
    finally:
        build.abandon()


def _start_server(state: StateDirectory, name: str, module: str) -> Service:
    service = Service(state, name)
    environment = {
        **plain_environment(),
        "PYTHONPATH": str(ROOT / "layers" / "shared"),
        "LOCAL_DIR": str(state.path),
    }
    service.start([sys.executable, "-m", module, "--port", "0"], environment)
    return service


def _url_of(service: Service) -> str:
    """Return the URL in the JSON line that the server prints once it listens."""

    def read_url() -> str | None:
        first, ended, _rest = service.log.read_text().partition("\n")
        return str(json.loads(first)["url"]) if ended and first.startswith("{") else None

    return service.wait_for(read_url, READY_SECONDS)


def _new_account() -> WeChatAccount:
    letters = string.ascii_letters + string.digits
    return WeChatAccount(
        app_id=f"wx{secrets.token_hex(8)}",
        app_secret=secrets.token_hex(16),
        push_token="".join(secrets.choice(letters) for _ in range(32)),
        encoding_aes_key="".join(secrets.choice(letters) for _ in range(43)),
    )


def _parameters(account: WeChatAccount, simulator_url: str) -> dict[str, str]:
    return {
        "AppId": account.app_id,
        "Architecture": deploy.HOST_ARCHITECTURE,
        "WeChatApiHosts": simulator_url,
        "AllowLoopbackSubscribers": "true",
        # The demo page shows each message's steps inside the functions.
        "LogLevel": "DEBUG",
        # The emulator has no metric math, which alarms use.
        "Monitoring": "none",
    }


def _describe(
    aws: Emulator, account: WeChatAccount, outputs: dict[str, str], servers: Servers
) -> StackInfo:
    # By path, not by host name: a resolver may not know names below localhost. The stage is
    # $default, so it has no path segment and the signed path needs no escaping.
    api_url = f"{aws.url}/_aws/execute-api/{outputs['ApiId']}"
    return StackInfo(
        api_url=api_url,
        push_url=f"{api_url}/wechat/push",
        simulator_url=servers.simulator,
        receiver_url=servers.receiver,
        page_url=servers.page,
        aws_endpoint_url=aws.url,
        region=emulator.REGION,
        access_key_id=aws.access_key_id,
        secret_access_key=aws.secret_access_key,
        app_id=account.app_id,
        push_token=account.push_token,
        encoding_aes_key=account.encoding_aes_key,
        stack_name=deploy.STACK_NAME,
        outputs=outputs,
        sources=sources_digest(),
    )


def _put_secrets(aws: Emulator, account: WeChatAccount, outputs: dict[str, str]) -> None:
    push = {"token": account.push_token, "encoding_aes_key": account.encoding_aes_key}
    app = {"app_id": account.app_id, "app_secret": account.app_secret}
    manager = aws.client("secretsmanager")
    for output, secret in (("PushSecretArn", push), ("AppSecretArn", app)):
        manager.put_secret_value(SecretId=outputs[output], SecretString=json.dumps(secret))


def _configure_simulator(info: StackInfo, account: WeChatAccount) -> None:
    settings = {
        "app_id": account.app_id,
        "app_secret": account.app_secret,
        "push_url": info.push_url,
        "token": account.push_token,
        "encoding_aes_key": account.encoding_aes_key,
        "mode": "secure",
        "format": "xml",
    }
    answer = requests.put(f"{info.simulator_url}/_sim/config", json=settings, timeout=10)
    if not answer.ok:
        raise StackError(f"the simulator rejected its settings: {answer.status_code}")


def _stop(state: StateDirectory) -> None:
    with _undisturbed():
        for name in SERVICES:
            Service(state, name).stop()
        state.forget()
        state.clear("tmp", "s3")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Block a second Ctrl-C until everything is stopped."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def print_status(state: StateDirectory) -> int:
    """Print what runs and its URLs. Return 1 when the stack is down."""
    for name in SERVICES:
        running = "running" if Service(state, name).is_running() else "stopped"
        print(f"{name:10} {running:8} {state.log(name)}")
    if not is_up(state):
        print("the stack is down; start it with `wechat-kf up`")
        return 1
    info = state.read()
    for name in ("api_url", "push_url", "simulator_url", "receiver_url", "page_url"):
        print(f"{name:14} {getattr(info, name)}")
    print(f"{'credentials':14} {state.stack_file}")
    return 0


def start(state: StateDirectory) -> int:
    """Start the stack and print its URLs."""
    up(state, Progress())
    return print_status(state)


def stop(state: StateDirectory) -> int:
    """Stop the stack."""
    down(state)
    print("stack stopped")
    return 0


def run_command(state: StateDirectory, command: Callable[[StateDirectory], int]) -> int:
    """Run `command`, print the reason of a failure, and return the exit status.

    SIGTERM and SIGHUP interrupt it like Ctrl-C, so that everything it started is cleaned up.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        return command(state)
    except StackError as error:
        print(f"failed: {error} (logs: {state.path / 'logs'})", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    return 1
