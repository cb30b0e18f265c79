"""docs/http-api.md says what the code takes and answers: forms, values, limits, fields, errors.

What is looked for comes from the code that acts, not from the document that the page is made of.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import StrEnum

import pytest
from pydantic import BaseModel

from generators import openapi
from wechat_kf.api import (
    broadcast_models,
    conversation_models,
    media_models,
    merchant_models,
    message_models,
    quota_models,
    subscription_models,
)
from wechat_kf.api.media_models import MAX_DOWNLOAD_BYTES
from wechat_kf.api.problems import ON_ANY_ROUTE, of_wechat_error
from wechat_kf.domain.events import EventType
from wechat_kf.domain.merchants.merchant import MerchantStatus
from wechat_kf.domain.messages.attempt import ABANDONED
from wechat_kf.domain.messages.broadcasts import PENDING
from wechat_kf.domain.messages.message import EXPIRED, Guarantee, Status
from wechat_kf.domain.messages.transcript import Direction
from wechat_kf.domain.subscriptions.management import MOST_PER_MERCHANT
from wechat_kf.domain.subscriptions.subscription import SubscriptionStatus, TargetType
from wechat_kf.wechat.client import TypingResult
from wechat_kf.wechat.codes import ERRCODES
from wechat_kf.wechat.content import _BUILDERS
from wechat_kf.wechat.errors import (
    InvalidInputError,
    MalformedReplyError,
    TransportError,
    WeChatError,
    api_error,
)
from wechat_kf.wechat.media import MAX_IMAGE_BYTES
from wechat_kf.wechat.operations import GET
from wechat_kf_cli.stack.state import ROOT

PAGE = openapi.files()[openapi.PAGE_FILE]
MIB = 1024 * 1024
MODELS = (
    broadcast_models,
    media_models,
    conversation_models,
    merchant_models,
    message_models,
    quota_models,
    subscription_models,
)
BY_EVENT_ONLY = {"SendMessagesEvent"}


def section(anchor: str) -> str:
    """From a heading to the next one."""
    (found,) = re.findall(rf'^#+ <a id="{anchor}"></a>.*?(?=^#|\Z)', PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def row(text: str, name: str) -> str:
    """The row of a table that begins with a field."""
    (found,) = re.findall(rf"^\| `{name}` \|.*$", text, re.MULTILINE)
    return str(found)


# -- forms, values, limits


@pytest.mark.parametrize("kind", _BUILDERS)
@pytest.mark.parametrize("route", ["sendmessage", "createbroadcast"])
def test_every_form_of_a_message_has_a_table_that_the_routes_lead_to(route: str, kind: str) -> None:
    (anchor,) = re.findall(rf"\[`{kind}`\]\(#([\w-]+)\)", row(section(route), "message"))
    assert row(section(anchor), "type") == f"| `type` | `{kind}` |  |"
    assert "default `false`" in row(section(anchor), "ai_generated")


@pytest.mark.parametrize("kind", TargetType)
def test_every_target_of_a_subscription_has_a_table_that_the_route_leads_to(kind: str) -> None:
    (anchor,) = re.findall(
        rf"\[`{kind}`\]\(#([\w-]+)\)", row(section("createsubscription"), "target")
    )
    assert row(section(anchor), "type") == f"| `type` | `{kind}` |  |"


@pytest.mark.parametrize(
    ("anchor", "field", "values"),
    [
        ("sendmessage", "delivery", Guarantee),
        ("createbroadcast", "delivery", Guarantee),
        ("createsubscription", "event_types", EventType),
        ("changesubscription", "event_types", EventType),
        ("changemerchant", "status", MerchantStatus),
        ("showtyping", "command", conversation_models.Typing),
        ("body-messageresponse", "status", Status),
        ("body-recipientresponse", "status", [PENDING, *Status]),
        ("body-subscriptionresponse", "status", SubscriptionStatus),
        ("body-transcriptentryresponse", "direction", Direction),
        ("body-typingresponse", "result", TypingResult),
        ("body-failureresponse", "code", [EXPIRED, ABANDONED.failure.code]),
    ],
)
def test_every_value_is_named(anchor: str, field: str, values: type[StrEnum] | list[str]) -> None:
    shown = row(section(anchor), field)
    assert [value for value in values if f"`{value}`" not in shown] == []


def test_the_limits_are_those_of_the_code() -> None:
    assert f"at most {MAX_IMAGE_BYTES // MIB} MiB" in section("uploadmedia")
    assert f"at most {MAX_DOWNLOAD_BYTES // MIB} MiB" in section("downloadmedia")
    assert f"at most {MOST_PER_MERCHANT} subscriptions" in section("createsubscription")
    assert "1 to 128 characters" in row(section("body-menuchoice"), "id")


# -- fields


def bodies() -> Iterator[type[BaseModel]]:
    for module in MODELS:
        for name, found in vars(module).items():
            is_body = isinstance(found, type) and issubclass(found, BaseModel)
            if is_body and not name.startswith("_") and found.__module__ == module.__name__:
                yield found


@pytest.mark.parametrize("body", [body for body in bodies() if body.__name__ not in BY_EVENT_ONLY])
def test_every_field_of_every_body_has_a_row(body: type[BaseModel]) -> None:
    anchor = f"body-{body.__name__.lower()}"
    # A request's table stands at its route, where no heading has its name.
    where = section(anchor) if f'"{anchor}"' in PAGE else PAGE
    assert [name for name in body.model_fields if f"\n| `{name}` | " not in where] == []


def test_every_success_names_its_body() -> None:
    """A content type where it is no JSON; only a 204 has none."""
    successes = re.findall(r"^\| 20[0-2] \|(.*?)\|", PAGE, re.MULTILINE)
    assert len(successes) > 25
    assert all(answer.strip() for answer in successes)


# -- errors


def codes_in_sources() -> Iterator[str]:
    """The codes of all classes that name one, wherever they are."""
    for path in (ROOT / "layers" / "shared" / "wechat_kf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name != WeChatError.__name__:
                yield from _codes_of(node)


def _codes_of(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name("code")], value=ast.Constant(str(code)))
                | ast.AnnAssign(target=ast.Name("code"), value=ast.Constant(str(code)))
            ):
                yield code


def wechat_errors() -> Iterator[WeChatError]:
    """One of each kind that a call to WeChat can end with."""
    yield from (api_error(row.errcode, "", GET) for row in ERRCODES.values() if row.status > 200)
    yield api_error(123456, "", GET)
    yield TransportError(GET, sent="never", reason="x")
    yield TransportError(GET, sent="perhaps", reason="x")
    yield MalformedReplyError(GET, "x", http_status=200)
    yield InvalidInputError("x", "x")


def test_every_code_of_ours_has_a_row_with_an_anchor() -> None:
    """Those of the client's stand among WeChat's refusals: see below."""
    codes = set(codes_in_sources())
    assert {"invalid_request", "media_too_large", "merchant_inactive", "method_not_allowed"} < codes
    ours = {code for code in codes if f'| <a id="error-{code}"></a>`{code}` |' in PAGE}
    assert codes - ours == {InvalidInputError.code}
    assert [link for link in re.findall(r"\(#(error-\w+)\)", PAGE) if f'"{link}"' not in PAGE] == []


@pytest.mark.parametrize("error", [*wechat_errors()], ids=lambda error: error.code)
def test_every_refusal_of_wechats_has_a_row_with_its_status(error: WeChatError) -> None:
    answer = of_wechat_error(error)
    wechats = PAGE.partition("### WeChat's refusals")[2]
    assert row(wechats, error.code).startswith(f"| `{error.code}` | {answer.status_code} |")


def test_the_routes_name_their_errors() -> None:
    def errors(anchor: str) -> set[str]:
        line = section(anchor).partition("\nErrors: ")[2]
        return set(re.findall(r"\[`(\w+)`\]", line)) | set(re.findall(r"\[(WeChat's \w+)\]", line))

    assert errors("sendmessage") == {
        "invalid_request",
        "merchant_inactive",
        "merchant_not_found",
        "idempotency_key_reused",
        "no_conversation",
        "conversation_full",
        "acceptance_uncertain",
    }
    assert errors("createsubscription") == {"invalid_request", "conflict"}
    assert errors("uploadmedia") == {"invalid_request", "media_too_large", "WeChat's refusals"}
    assert errors("changemerchant") == {
        "invalid_request",
        "not_found",
        "sub_merchant_not_found",
        "conflict",
        "WeChat's refusals",
    }
    assert errors("readquota") == {"WeChat's refusals"}


def test_what_any_route_may_answer_is_shown_once_for_all() -> None:
    shown = PAGE.partition("## Errors\n")[2].partition("\n|")[0]
    assert set(re.findall(r"\[`(\w+)`\]", shown)) == {error.code for error in ON_ANY_ROUTE}


def test_the_page_recommends_no_pattern_that_matches_other_merchants() -> None:
    texts = [PAGE, openapi.files()[openapi.OPENAPI_FILE]]
    assert [text for text in texts if "*/merchants/" in text] == []
    assert "(merchants.md#confine-a-caller-to-one-merchant)" in PAGE
