"""Answers to buyers under faults: every final state true, order kept, none twice, none lost.

The short form is part of `make test`. The long form, with a killed worker and a minute limit:

    STORM=2000 STORM_CONVERSATIONS=200 .venv/bin/pytest tests/e2e/test_outbound_storm.py -s
"""

import os

import pytest

from tests.chaos.outbound_storm import Plan, Storm
from wechat_kf_cli.stack.state import StackInfo

LONG = "STORM" in os.environ


def plan_of_environment() -> Plan:
    if not LONG:
        return Plan(messages=100, conversations=25)
    return Plan(
        messages=int(os.environ["STORM"]),
        conversations=int(os.environ.get("STORM_CONVERSATIONS", "200")),
        kill_worker=True,
        minute_limit=True,
        patience_seconds=600,
    )


@pytest.mark.timeout(3600 if LONG else 600)
def test_the_records_agree_with_the_phones(stack: StackInfo) -> None:
    plan = plan_of_environment()
    reckoning = Storm(stack, plan).run()
    print(f"\n{reckoning.table()}")
    assert reckoning.accepted == plan.per_conversation * plan.conversations
    assert reckoning.faultless, reckoning
    assert reckoning.attempts > reckoning.accepted
    if not plan.kill_worker:
        assert reckoning.calls == reckoning.attempts
