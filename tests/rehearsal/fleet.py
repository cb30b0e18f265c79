"""Run all functions of a deployed stack in execution environments, for the emulator.

Code and layers are what `sam deploy` uploaded, fetched with Lambda's own calls. An environment is
used again while its function's settings stay as they are, as in Lambda.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import threading
import time
import uuid
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import requests

from tests.rehearsal.execution_environment import Code, ExecutionEnvironment, FunctionSettings
from tests.rehearsal.place import Place
from tests.rehearsal.runtime_api import Invocation, Outcome, Result
from wechat_kf_cli.stack.clients import aws_client
from wechat_kf_cli.stack.state import StackInfo

PROXY_VARIABLE = "MINISTACK_LAMBDA_PROXY_URL"
STARTS_AT_ONCE = 2
CREDENTIALS_CODE = """
import os

def handler(event, context):
    names = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
    return {name: os.environ[name] for name in names}
"""


@dataclass
class Record:
    """What was measured of one function."""

    memory_mb: int
    inits: list[float] = field(default_factory=list)
    init_cpu: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    outcomes: dict[Outcome, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def failed(self) -> int:
        """Endings that Lambda itself would call failures of the environment."""
        bad = (Outcome.EXIT, Outcome.INIT_ERROR, Outcome.TIMEOUT)
        return sum(self.outcomes[outcome] for outcome in bad)


class Fleet:
    """Runs every function of `stack`; `serve` makes the emulator use it."""

    def __init__(
        self, stack: StackInfo, place: Place, runtime: Path, folder: Path, *, limit_processor: bool
    ) -> None:
        self.records: dict[str, Record] = {}
        self.complaints: list[str] = []
        self._stack = stack
        self._place = place
        self._runtime = runtime
        self._folder = folder
        self._limit_processor = limit_processor
        self._functions = aws_client(stack, "lambda")
        self._logs = aws_client(stack, "logs")
        self._names = _function_names(stack)
        self._codes: dict[str, Code] = {}
        self._credentials: dict[str, dict[str, str]] = {}
        self._idle: dict[str, list[tuple[str, ExecutionEnvironment]]] = defaultdict(list)
        self._all: list[ExecutionEnvironment] = []
        self._lock = threading.Lock()
        self._starts = threading.Semaphore(STARTS_AT_ONCE)
        self._server = _Server(self)

    def serve(self) -> None:
        """Start each function once, then point the emulator here."""
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        for logical_id, name in self._names.items():
            configuration = self._configuration(name)
            self.records[name] = Record(int(configuration["MemorySize"]))
            self._codes[name] = self._fetch_code(name, configuration)
            self._credentials[name] = self._fetch_credentials(logical_id, configuration)
            key, environment, failure = self._start(name, configuration)
            if failure is None:
                self._idle[name].append((key, environment))
        for name in self._names.values():
            variables = self._configuration(name)["Environment"]["Variables"]
            url = f"http://127.0.0.1:{self._server.server_port}/"
            self._functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": {**variables, PROXY_VARIABLE: url}}
            )

    def stop(self) -> None:
        self._server.shutdown()
        for environment in self._all:
            environment.stop()

    def invoke(self, name: str, request_id: str, event: bytes) -> Result:
        """Run one invocation, in an idle environment with the present settings or a new one."""
        configuration = self._configuration(name)
        environment, key, failure = self._take(name, configuration)
        record = self.records[name]
        if failure is not None:
            return failure
        started = time.monotonic()
        result = environment.invoke(
            Invocation(
                request_id=request_id,
                function_arn=configuration["FunctionArn"],
                deadline_ms=int((time.time() + configuration["Timeout"]) * 1000),
                event=event,
            )
        )
        with self._lock:
            record.durations.append(time.monotonic() - started)
            record.outcomes[result.outcome] += 1
            record.peak_mb = max(record.peak_mb, environment.peak_memory_mb())
        if result.outcome is not Outcome.RESPONSE:
            self._complain(name, result)
        self._ship_output(environment, configuration)
        if result.outcome in (Outcome.RESPONSE, Outcome.ERROR):
            with self._lock:
                self._idle[name].append((key, environment))
        else:
            self._discard(environment)
        return result

    def _take(
        self, name: str, configuration: dict[str, Any]
    ) -> tuple[ExecutionEnvironment, str, Result | None]:
        wanted = _key(configuration)
        with self._lock:
            outdated = [one for key, one in self._idle[name] if key != wanted]
            fitting = [(key, one) for key, one in self._idle[name] if key == wanted]
            found = fitting.pop() if fitting else None
            self._idle[name] = fitting
        for environment in outdated:
            self._discard(environment)
        if found is not None:
            return found[1], wanted, None
        key, environment, failure = self._start(name, configuration)
        return environment, key, failure

    def _start(
        self, name: str, configuration: dict[str, Any]
    ) -> tuple[str, ExecutionEnvironment, Result | None]:
        variables = {
            **configuration["Environment"]["Variables"],
            **self._credentials[name],
            "AWS_ENDPOINT_URL": self._stack.aws_endpoint_url,
        }
        variables.pop(PROXY_VARIABLE, None)
        settings = FunctionSettings(
            name=name,
            handler=configuration["Handler"],
            memory_mb=int(configuration["MemorySize"]),
            region=self._stack.region,
            variables=variables,
        )
        record = self.records[name]
        with self._starts:
            environment = ExecutionEnvironment(
                self._place,
                self._codes[name],
                settings,
                self._folder / "logs" / f"{name}-{uuid.uuid4().hex[:8]}.log",
                limit_processor=self._limit_processor,
            )
            failure = environment.wait_until_initialized()
        with self._lock:
            self._all.append(environment)
            if failure is None:
                record.inits.append(environment.init_seconds)
                record.init_cpu.append(environment.cpu_seconds())
                record.peak_mb = max(record.peak_mb, environment.peak_memory_mb())
            else:
                record.outcomes[Outcome.INIT_ERROR] += 1
        if failure is not None:
            self._complain(name, failure)
            self._discard(environment)
        return _key(configuration), environment, failure

    def _discard(self, environment: ExecutionEnvironment) -> None:
        with self._lock:
            self._all.remove(environment)
        environment.stop()

    def _complain(self, name: str, result: Result) -> None:
        text = result.body.decode(errors="replace")[:500]
        self.complaints.append(f"{name}: {result.outcome}: {text}")

    def _configuration(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._functions.get_function_configuration(FunctionName=name)
        return found

    def _fetch_code(self, name: str, configuration: dict[str, Any]) -> Code:
        function = self._functions.get_function(FunctionName=name)
        [layer] = configuration["Layers"]
        version = self._functions.get_layer_version_by_arn(Arn=layer["Arn"])
        return Code(
            task=self._unpack(function["Code"]["Location"], configuration["CodeSha256"]),
            layer=self._unpack(version["Content"]["Location"], version["Content"]["CodeSha256"]),
            runtime=self._runtime,
        )

    def _unpack(self, url: str, sha256: str) -> Path:
        """The folder with what the archive at `url` holds, with the modes that it says."""
        folder = self._folder / "code" / hashlib.sha256(sha256.encode()).hexdigest()[:16]
        if folder.exists():
            return folder
        answer = requests.get(url, timeout=60)
        answer.raise_for_status()
        digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
        assert digest == sha256, f"{url} is not what was deployed"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            for entry in archive.infolist():
                path = Path(archive.extract(entry, folder))
                if mode := entry.external_attr >> 16 & 0o777:
                    path.chmod(mode)
        return folder

    def _fetch_credentials(self, logical_id: str, configuration: dict[str, Any]) -> dict[str, str]:
        """Credentials of the function's role: a function of that role says what it was given."""
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("credentials_of.py", CREDENTIALS_CODE)
        helper = f"{logical_id}-credentials"
        self._functions.create_function(
            FunctionName=helper,
            Runtime=configuration["Runtime"],
            Role=configuration["Role"],
            Handler="credentials_of.handler",
            Code={"ZipFile": package.getvalue()},
        )
        try:
            answer = self._functions.invoke(FunctionName=helper)
            found: dict[str, str] = json.loads(answer["Payload"].read())
        finally:
            self._functions.delete_function(FunctionName=helper)
        return found

    def _ship_output(
        self, environment: ExecutionEnvironment, configuration: dict[str, Any]
    ) -> None:
        """Put what the function wrote where Lambda puts it."""
        lines = environment.take_new_output()
        if not lines:
            return
        names = {
            "logGroupName": configuration["LoggingConfig"]["LogGroup"],
            "logStreamName": environment.log.stem,
        }
        if not environment.has_stream:
            self._logs.create_log_stream(**names)
            environment.has_stream = True
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines]
        self._logs.put_log_events(**names, logEvents=events)

    def table(self) -> str:
        """One row a function, for people."""
        by_name = {name: logical_id for logical_id, name in self._names.items()}
        rows = [
            "| function | memory | starts | init, median | init, worst | CPU of it | peak memory "
            "| invocations | median | worst | errors | exits, timeouts |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for name, record in sorted(self.records.items(), key=lambda item: by_name[item[0]]):
            inits, cpu = record.inits or [math.nan], record.init_cpu or [math.nan]
            durations = record.durations or [math.nan]
            cells = [
                by_name[name].removesuffix("Function"),
                f"{record.memory_mb} MB",
                len(record.inits),
                f"{median(inits):.2f} s",
                f"{max(inits):.2f} s",
                f"{median(cpu):.2f} s",
                f"{record.peak_mb:.0f} MB",
                len(record.durations),
                f"{median(durations) * 1000:.0f} ms",
                f"{max(durations) * 1000:.0f} ms",
                record.outcomes[Outcome.ERROR],
                record.failed,
            ]
            rows.append(
                "| "
                + " | ".join(map(str, cells)).replace("nan ms", "–").replace("nan s", "–")
                + " |"
            )
        return "\n".join(rows).replace("nan ms", "–").replace("nan s", "–")


def _function_names(stack: StackInfo) -> dict[str, str]:
    """Physical name of each function by its logical id."""
    cloudformation = aws_client(stack, "cloudformation")
    resources = cloudformation.describe_stack_resources(StackName=stack.stack_name)
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in resources["StackResources"]
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def _key(configuration: dict[str, Any]) -> str:
    """Changes with whatever makes Lambda start new environments."""
    variables = dict(configuration["Environment"]["Variables"])
    variables.pop(PROXY_VARIABLE, None)
    seen = [variables, configuration["CodeSha256"], configuration["MemorySize"]]
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


class _Server(ThreadingHTTPServer):
    """Takes invocations as the emulator's proxy mode sends them."""

    daemon_threads = True

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fleet = fleet


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        """Write nothing: outcomes are counted by the fleet."""

    def do_POST(self) -> None:
        event = self.rfile.read(int(self.headers["Content-Length"]))
        name = self.headers["X-Amzn-Lambda-Function-Name"]
        request_id = self.headers.get("X-Amzn-Lambda-Request-Id") or str(uuid.uuid4())
        result = self.server.fleet.invoke(name, request_id, event)
        self.send_response(200 if result.outcome is Outcome.RESPONSE else 500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(result.body)))
        self.end_headers()
        self.wfile.write(result.body)
