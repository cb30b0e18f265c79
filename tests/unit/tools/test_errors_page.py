"""docs/errors.md names every code of ours, and those of WeChat's that one can act on."""

from __future__ import annotations

from generators.errors_page import page_of

API = {
    "components": {
        "x-errors": {
            "own": {"conflict": {"status": 409, "meaning": "It | contradicts\nwhat is stored"}},
            "wechat": {
                "api_banned": {
                    "status": 403,
                    "errcodes": [48004, 48005, 48009],
                    "meaning": "banned",
                    "advice": "Check the console.",
                },
                "app_id_missing": {"status": 500, "errcodes": [41002], "meaning": "missing"},
            },
        }
    }
}


def test_a_code_of_ours_is_a_row_with_an_anchor() -> None:
    row = '| <a id="error-conflict"></a>`conflict` | 409 | It \\| contradicts what is stored |  |'
    assert row in page_of(API).splitlines()


def test_a_code_of_wechats_is_a_row_when_somebody_can_do_something() -> None:
    page = page_of(API)
    assert "| `api_banned` | 403 | 48004 to 48009 | banned | Check the console. |" in page
    assert "app_id_missing" not in page
