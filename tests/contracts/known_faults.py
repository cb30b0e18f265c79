"""Faults of other emulators that contract tests run into, each one with what is wrong there.

A test in `FAULTS` has to fail: when the emulator is mended, or the test no longer meets the fault,
the run fails until the line is gone. One in `BY_CHANCE` may pass as well. Names are those of tests
below tests/contracts; one without a bracket means the test with all its parameters.
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

BY_CHANCE: dict[str, dict[str, str]] = {
    "moto": {
        "test_deliveries_function.py::test_what_waits_too_long_is_parked_and_drained_in_order": (
            "sequence numbers of a FIFO queue rise at AWS; moto draws them at random, and the "
            "backlog is sorted by them"
        ),
        "test_isolation.py::test_a_slow_and_a_dead_subscriber_cost_the_healthy_one_nothing": (
            "how an emulator mixes the groups of a batch decides the median: with moto's order it "
            "is 0.44 to 0.68 s, about the bound"
        ),
    },
}
