"""The main job on the deployed stack: the same walk that `make run` shows."""

from wechat_kf_cli.stack.state import StackInfo
from wechat_kf_local.walk import Walk


def test_a_buyer_asks_and_the_merchants_answer_reaches_the_phone(stack: StackInfo) -> None:
    Walk(stack, report=print).run()
