"""The main job on the deployed stack: the same walk that `make run` shows."""

from local.walk import Walk
from tools.stack.state import StackInfo


def test_a_buyer_asks_and_the_merchants_answer_reaches_the_phone(stack: StackInfo) -> None:
    Walk(stack, report=print).run()
