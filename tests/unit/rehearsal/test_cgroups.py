"""Both versions of control groups get the bounds of a function."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rehearsal import cgroups


@pytest.fixture
def separate(tmp_path: Path) -> Path:
    for controller in ("memory", "cpu", "cpuacct"):
        (tmp_path / controller).mkdir()
    return tmp_path


@pytest.fixture
def unified(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    return tmp_path


def test_version_1_has_a_folder_for_each_controller(separate: Path) -> None:
    group = cgroups.make(512, limit_processor=True, mount=separate)
    memory, cpu, accounting = group.folders
    assert (memory / "memory.limit_in_bytes").read_text() == str(512 * 1024 * 1024)
    assert (cpu / "cpu.cfs_quota_us").read_text() == str(100_000 * 512 // 1769)
    (accounting / "cpuacct.usage").write_text("1500000000\n")
    assert group.cpu_seconds() == 1.5
    assert [file.name for file in group.joins] == ["cgroup.procs"] * 3


def test_version_2_has_one_folder_and_hands_the_controllers_on(unified: Path) -> None:
    group = cgroups.make(1024, limit_processor=True, mount=unified)
    [folder] = group.folders
    assert (unified / "cgroup.subtree_control").read_text() == "+memory +cpu"
    assert (folder / "memory.max").read_text() == str(1024 * 1024 * 1024)
    assert (folder / "cpu.max").read_text() == f"{100_000 * 1024 // 1769} 100000"
    (folder / "cpu.stat").write_text("usage_usec 250000\nuser_usec 1\n")
    assert group.cpu_seconds() == 0.25


def test_the_processor_is_limited_only_on_request(unified: Path) -> None:
    [folder] = cgroups.make(1024, limit_processor=False, mount=unified).folders
    assert not (folder / "cpu.max").exists()


def test_a_machine_without_control_groups_is_explained(tmp_path: Path) -> None:
    with pytest.raises(cgroups.NoControlGroupsError, match="memory"):
        cgroups.make(512, limit_processor=False, mount=tmp_path)
