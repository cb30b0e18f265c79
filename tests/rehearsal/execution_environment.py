"""One execution environment: a function in the runtime interface client, as Lambda starts it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.rehearsal import cgroups
from tests.rehearsal.cgroups import ControlGroup
from tests.rehearsal.place import ISOLATE, Place
from tests.rehearsal.runtime_api import Invocation, Outcome, Result, RuntimeApi

INIT_SECONDS = 60.0
"""Lambda's own limit is ten seconds of a processor that is not shared with the emulator."""

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Code:
    """The folders that one function is made from."""

    task: Path
    layer: Path
    runtime: Path


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """What Lambda knows of a function."""

    name: str
    handler: str
    memory_mb: int
    region: str
    variables: Mapping[str, str]
    """Its own variables, its credentials and the emulator's address."""


class ExecutionEnvironment:
    """Starts at once; `wait_until_initialized` says how the init phase ended."""

    def __init__(
        self,
        place: Place,
        code: Code,
        settings: FunctionSettings,
        log: Path,
        *,
        limit_processor: bool,
    ) -> None:
        self.settings = settings
        self.log = log
        self.shipped_bytes = 0
        self.has_stream = False
        self.init_seconds = 0.0
        self._api = RuntimeApi(self._freeze, self._thaw)
        self._process: subprocess.Popen[bytes] | None = None
        self._group = (
            cgroups.make(settings.memory_mb, limit_processor=limit_processor)
            if place.bound
            else ControlGroup(())
        )
        self._started = time.monotonic()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                _command(place, self._variables(place, code)),
                cwd=code.task,
                env=_outer_environment(place, code, self._group),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _variables(self, place: Place, code: Code) -> dict[str, str]:
        settings = self.settings
        if place.isolated:
            task, layer, runtime, language = "/var/task", "/opt", "/var/runtime", "/var/lang"
        else:
            task, layer, runtime = str(code.task), str(code.layer), str(code.runtime)
            language = str(place.interpreter.prefix)
        version = place.interpreter.version
        return {
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{version}",
            "AWS_REGION": settings.region,
            "AWS_DEFAULT_REGION": settings.region,
            "AWS_LAMBDA_FUNCTION_NAME": settings.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": "Text",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{settings.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log.stem,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000",
            "_AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129",
            "_AWS_XRAY_DAEMON_PORT": "2000",
            "_HANDLER": settings.handler,
            "LAMBDA_RUNTIME_DIR": runtime,
            "LAMBDA_TASK_ROOT": task,
            "LANG": "en_US.UTF-8",
            "LD_LIBRARY_PATH": f"{language}/lib:/lib64:/usr/lib64:{runtime}:{task}:{layer}/lib",
            "PATH": f"{language}/bin:/usr/local/bin:/usr/bin:/bin:{layer}/bin",
            "PYTHONPATH": os.pathsep.join(
                [
                    task,
                    f"{layer}/python/lib/python{version}/site-packages",
                    f"{layer}/python",
                    runtime,
                ]
            ),
            "TZ": ":UTC",
            **settings.variables,
        }

    def wait_until_initialized(self) -> Result | None:
        """Wait for the end of the init phase. Returns None, or how it failed."""
        while self._api.initialized_at is None:
            with contextlib.suppress(queue.Empty):
                return self._api.results.get(timeout=POLL_SECONDS)
            if (code := self._exit_code()) is not None:
                return Result(Outcome.EXIT, f"exit {code}: {self._last_output()}".encode())
            if time.monotonic() - self._started > INIT_SECONDS:
                return Result(Outcome.TIMEOUT, self._last_output().encode())
        self.init_seconds = self._api.initialized_at - self._started
        return None

    def invoke(self, invocation: Invocation) -> Result:
        """Hand over one event and wait for the result, no longer than the function may run."""
        self._api.invocations.put(invocation)
        while True:
            with contextlib.suppress(queue.Empty):
                return self._api.results.get(timeout=POLL_SECONDS)
            if (code := self._exit_code()) is not None:
                return Result(Outcome.EXIT, _error("Runtime.ExitError", f"exit status {code}"))
            if time.time() * 1000 > invocation.deadline_ms:
                return Result(Outcome.TIMEOUT, _error("Sandbox.Timedout", "task timed out"))

    def cpu_seconds(self) -> float:
        return self._group.cpu_seconds()

    def peak_memory_mb(self) -> float:
        """The most that was resident at once, of the process that still runs."""
        assert self._process is not None
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return 0.0
        peak = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0")
        return int(peak.split()[1]) / 1024

    def take_new_output(self) -> list[str]:
        """The lines written since the last call."""
        with self.log.open("rb") as output:
            output.seek(self.shipped_bytes)
            text = output.read()
        self.shipped_bytes += len(text)
        return [line for line in text.decode(errors="replace").splitlines() if line.strip()]

    def stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._api.close()
        self._group.remove()

    def _freeze(self) -> None:
        """Between invocations an environment does not run: nothing happens in the background."""
        self._signal(signal.SIGSTOP)

    def _thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _exit_code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def _last_output(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def _command(place: Place, variables: Mapping[str, str]) -> list[str]:
    given = [f"{name}={value}" for name, value in variables.items()]
    client = ["-m", "awslambdaric", variables["_HANDLER"]]
    if not place.isolated:
        return ["env", "-i", *given, str(place.interpreter.executable), "-s", *client]
    python = f"/var/lang/bin/python{place.interpreter.version}"
    return ["unshare", "--mount", "bash", str(ISOLATE), *given, python, *client]


def _outer_environment(place: Place, code: Code, group: ControlGroup) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "TASK": str(code.task),
        "LAYER": str(code.layer),
        "RUNTIME": str(code.runtime),
        "LANGUAGE": str(place.interpreter.prefix),
        "SITE_PACKAGES": str(place.interpreter.site_packages),
        "CGROUP_PROCS": " ".join(map(str, group.joins)),
    }


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()
