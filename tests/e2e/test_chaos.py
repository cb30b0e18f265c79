"""The storm on the deployed stack, in its short form. The long one is `make chaos`."""

from __future__ import annotations

import re

import pytest

from tests.chaos.storm import Plan, Storm
from tests.e2e.conftest import TEST_DIRECTORY
from wechat_kf_cli.stack.state import ROOT, StackInfo, StateDirectory


@pytest.mark.timeout(600)
def test_every_promise_is_kept_in_a_storm(stack: StackInfo) -> None:
    report = Storm(stack, StateDirectory(ROOT / TEST_DIRECTORY), Plan()).run()
    print(f"\n{report.table()}")
    assert report.kept, report.offenders()
    misfortunes = [
        name for name in report.counts if re.search("killed|silent|refused|throttled", name)
    ]
    assert len(misfortunes) >= 3, report.counts
    assert report.counts["pushes sent in"] == Plan().pushes
    assert report.counts["answers accepted"] == Plan().sends
