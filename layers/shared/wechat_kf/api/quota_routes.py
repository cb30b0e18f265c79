"""Route of /quota: what WeChat still allows the Mini Program today."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api.dependencies import Account, needs
from wechat_kf.api.quota_models import ApiQuotaResponse, QuotaResponse
from wechat_kf.api.responses import describe_responses

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]


@router.get(
    "/quota",
    summary="Read what WeChat still allows today",
    operation_id="readQuota",
    tags=["quota"],
    responses=describe_responses({200: ("API by API", QuotaResponse)}, asks_wechat=True),
)
def read_quota(account: Annotated[Account, needs(Account)]) -> QuotaResponse:
    """Return the daily quotas of the APIs this stack calls; costs one call to WeChat for each."""
    return QuotaResponse(items=[ApiQuotaResponse.of(*found) for found in account.quotas()])
