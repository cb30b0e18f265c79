"""The main job on the deployed stack: the same walk that `make run` shows."""

from local.state import StackInfo
from local.walk import Walk


def test_a_buyer_asks_and_the_merchants_answer_reaches_the_phone(stack: StackInfo) -> None:
    Walk(stack, tell=print).run()
