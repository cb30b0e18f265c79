"""Control groups that bound an execution environment's memory and processor share.

Lambda gives one virtual processor for each 1 769 MB of a function's memory.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
MEGABYTE = 1 << 20
MEMORY_OF_ONE_PROCESSOR_MB = 1769
PERIOD_MICROSECONDS = 100_000


class NoControlGroupsError(Exception):
    """This machine or this user cannot make control groups. The message says why."""


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """One group in each hierarchy that is needed; a process joins by its id in `joins`."""

    folders: tuple[Path, ...]

    @property
    def joins(self) -> list[Path]:
        """The files that take the id of a process which shall be bound."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def cpu_seconds(self) -> float:
        """The processor time that the group has used."""
        for folder in self.folders:
            if (usage := folder / "cpuacct.usage").exists():
                return int(usage.read_text()) / 1e9
            if (statistics := folder / "cpu.stat").exists():
                fields = dict(line.split() for line in statistics.read_text().splitlines())
                if "usage_usec" in fields:
                    return int(fields["usage_usec"]) / 1e6
        return 0.0

    def remove(self) -> None:
        """Remove the groups; their processes must have ended."""
        for folder in self.folders:
            for _ in range(50):
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.02)


def make(memory_mb: int, *, limit_processor: bool, mount: Path = MOUNT) -> ControlGroup:
    """Make a group bound to `memory_mb` and, if wanted, to the processor share it buys.

    Raises NoControlGroupsError.
    """
    name = f"wechat-kf-rehearsal-{uuid.uuid4().hex[:8]}"
    quota = PERIOD_MICROSECONDS * memory_mb // MEMORY_OF_ONE_PROCESSOR_MB
    try:
        if (mount / "cgroup.controllers").exists():
            return _make_unified(mount, name, memory_mb, quota if limit_processor else None)
        return _make_separate(mount, name, memory_mb, quota if limit_processor else None)
    except OSError as error:
        raise NoControlGroupsError(f"{error.strerror}: {error.filename}") from None


def _make_separate(mount: Path, name: str, memory_mb: int, quota: int | None) -> ControlGroup:
    """Version 1: a hierarchy for each controller."""
    folders = tuple(mount / controller / name for controller in ("memory", "cpu", "cpuacct"))
    for folder in folders:
        folder.mkdir()
    memory, cpu, _ = folders
    (memory / "memory.limit_in_bytes").write_text(str(memory_mb * MEGABYTE))
    if quota is not None:
        (cpu / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
        (cpu / "cpu.cfs_quota_us").write_text(str(quota))
    return ControlGroup(folders)


def _make_unified(mount: Path, name: str, memory_mb: int, quota: int | None) -> ControlGroup:
    """Version 2: one hierarchy, whose controllers the parent has to hand on."""
    (mount / "cgroup.subtree_control").write_text("+memory +cpu")
    folder = mount / name
    folder.mkdir()
    (folder / "memory.max").write_text(str(memory_mb * MEGABYTE))
    if quota is not None:
        (folder / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}")
    return ControlGroup((folder,))


def explain_missing(mount: Path = MOUNT) -> str | None:
    """Why no control group can be made here, or None."""
    if os.geteuid() != 0:
        return "only root may make control groups"
    try:
        make(128, limit_processor=True, mount=mount).remove()
    except NoControlGroupsError as error:
        return str(error)
    return None
