"""Route of /quota: what WeChat still allows the Mini Program today."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Protocol

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api.dependencies import needs
from wechat_kf.api.quota_models import ApiQuotaResponse, QuotaResponse
from wechat_kf.api.responses import describe_responses
from wechat_kf.wechat.diagnostics import Quota
from wechat_kf.wechat.errors import WeChatApiError


class QuotaReader(Protocol):
    """Asks WeChat for the quotas of the APIs this stack calls."""

    def quotas(self) -> Iterable[tuple[str, str, Quota | WeChatApiError]]:
        """Each API's name, its path, and its quota or WeChat's refusal; other errors pass."""


router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]


@router.get(
    "/quota",
    summary="Read what WeChat still allows today",
    operation_id="readQuota",
    tags=["quota"],
    responses=describe_responses({200: ("API by API", QuotaResponse)}, asks_wechat=True),
)
def read_quota(reader: Annotated[QuotaReader, needs(QuotaReader)]) -> QuotaResponse:
    """Return the daily quotas of the APIs this stack calls; costs one call to WeChat for each."""
    return QuotaResponse(items=[ApiQuotaResponse.of(*found) for found in reader.quotas()])
