"""Faults of other emulators that contract tests run into, each one with what is wrong there.

A listed test has to fail: when the emulator is mended, or the test no longer meets the fault, the
run fails until the line is gone. Names are those of tests below tests/contracts; one without a
bracket means the test with all its parameters.
"""

from __future__ import annotations

FAULTS: dict[str, dict[str, str]] = {
    "moto": {
        "test_queue_batch.py::test_a_group_that_waits_comes_back_after_its_delay_in_order": (
            "a message of a FIFO queue that is made visible again loses its place: moto hands out "
            "the group's later messages first"
        ),
        "test_secrets_and_tokens.py::test_a_good_answer_is_all_that_is_needed": (
            "moto runs functions in Docker only, and answers an error where there is none"
        ),
    },
}
