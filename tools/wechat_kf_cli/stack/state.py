"""The state of a local stack: one directory per stack, `.local` by default."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wechat_kf_cli.stack.stack_error import StackError

_CLONE = Path(__file__).parents[3]
_INSTALLED = Path(__file__).parents[2] / "wechat_kf_local" / "bundle"

ROOT = _CLONE if (_CLONE / "template.yaml").exists() else _INSTALLED
"""What is deployed: the clone this code runs from, or the copy that was installed with it."""


@dataclass(frozen=True, slots=True)
class StackInfo:
    """The content of `stack.json`: addresses and credentials of a running stack.

    The credentials are the emulator's own root keys and worth nothing elsewhere. `outputs` are the
    outputs of the CloudFormation stack.
    """

    api_url: str
    push_url: str
    simulator_url: str
    receiver_url: str
    page_url: str
    aws_endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    app_id: str
    push_token: str = field(repr=False)
    encoding_aes_key: str = field(repr=False)
    stack_name: str
    outputs: dict[str, str]
    sources: str
    """A digest of what it was made from."""


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The directory of one stack: logs, process files, build, and `stack.json`."""

    path: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "StateDirectory":
        """Return the directory that `LOCAL_DIR` names, or `.local`.

        Relative to the clone; where the command was installed, to the current folder.
        """
        base = ROOT if ROOT == _CLONE else Path.cwd()
        return cls(base / environment.get("LOCAL_DIR", ".local"))

    @property
    def stack_file(self) -> Path:
        return self.path / "stack.json"

    def directory(self, name: str) -> Path:
        """Return a subdirectory, created if missing. Only the owner may read it: it holds keys."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.path / name
        found.mkdir(parents=True, exist_ok=True)
        return found

    def log(self, name: str) -> Path:
        return self.directory("logs") / f"{name}.log"

    def write(self, info: StackInfo) -> None:
        """Replace `stack.json` in one step: a reader sees the old file or the new one."""
        draft = self.directory("run") / "stack.json"
        draft.write_text(json.dumps(asdict(info), indent=2) + "\n")
        draft.replace(self.stack_file)

    def read(self) -> StackInfo:
        """Return the state. Raises StackError when no stack was brought up here."""
        try:
            known: dict[str, Any] = json.loads(self.stack_file.read_text())
        except FileNotFoundError:
            raise StackError(f"no stack in {self.path}: bring one up with `wechat-kf up`") from None
        return StackInfo(**known)

    def forget(self) -> None:
        self.stack_file.unlink(missing_ok=True)

    def clear(self, *names: str) -> None:
        """Remove subdirectories with their content."""
        for name in names:
            shutil.rmtree(self.path / name, ignore_errors=True)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep out a second `up` or `down` of this stack. The kernel frees a dead one's lock."""
        with (self.directory("run") / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StackError("another command is bringing this stack up or down") from None
            yield
