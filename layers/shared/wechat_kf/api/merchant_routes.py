"""Routes of /merchants."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api.dependencies import needs
from wechat_kf.api.merchant_models import (
    ChangeMerchantRequest,
    ContactButtonResponse,
    MerchantPage,
    MerchantResponse,
    RegisterMerchantRequest,
    SyncResponse,
)
from wechat_kf.api.parameters import Cursor
from wechat_kf.api.responses import answer, describe_responses
from wechat_kf.api.validators import BUSINESS_ID
from wechat_kf.app_errors import ConflictError, InvalidRequestError, NotFoundError
from wechat_kf.domain.merchants.changes import MerchantAdmin, MerchantChange, MerchantQuery
from wechat_kf.domain.merchants.contact_button import contact_button
from wechat_kf.domain.merchants.merchant import (
    AccountNameTakenError,
    MerchantInactiveError,
    MerchantStatus,
    MissingAtWeChatError,
)
from wechat_kf.domain.merchants.reconciliation import MerchantSync
from wechat_kf.domain.merchants.registration import Registrar

BusinessId = Annotated[
    str,
    Path(pattern=f"^{BUSINESS_ID}$", description="WeChat's business id", examples=["42"]),
]
Filter = Annotated[
    str | None, Query(min_length=1, max_length=128, description="only the merchant that has it")
]
NeedsAdmin = Annotated[MerchantAdmin, needs(MerchantAdmin)]

_ALL = "/merchants"
_ONE = "/merchants/<business_id>"

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]


@router.post(
    _ALL,
    summary="Register a merchant",
    operation_id="registerMerchant",
    tags=["merchants"],
    responses=describe_responses(
        {
            201: ("opened at WeChat by this call", MerchantResponse),
            200: ("already on record, or WeChat had it; returned unchanged", MerchantResponse),
        },
        problems=(InvalidRequestError, ConflictError, AccountNameTakenError),
        asks_wechat=True,
    ),
)
def register_merchant(
    body: Annotated[RegisterMerchantRequest, Body()],
    registrar: Annotated[Registrar, needs(Registrar)],
) -> Response[MerchantResponse]:
    """Open a sub-merchant at WeChat. Safe to repeat after any failure."""
    merchant, created = registrar.register(body.to_domain())
    location = f"/merchants/{merchant.business_id}"
    return answer(201 if created else 200, MerchantResponse.of(merchant), location)


@router.get(
    _ALL,
    summary="List or find merchants",
    operation_id="listMerchants",
    tags=["merchants"],
    responses=describe_responses({200: ("a page", MerchantPage)}, problems=(InvalidRequestError,)),
)
def list_merchants(
    admin: NeedsAdmin,
    limit: Annotated[int, Query(ge=1, le=200, description="items per page, at most")] = 50,
    cursor: Cursor = None,
    account_name: Filter = None,
    external_id: Filter = None,
) -> MerchantPage:
    """Return all merchants, page by page; with a filter the one that matches, if any."""
    return MerchantPage.of(admin.search(MerchantQuery(limit, cursor, account_name, external_id)))


@router.post(
    "/merchants/sync",
    summary="Reconcile with WeChat's list",
    operation_id="syncMerchants",
    tags=["merchants"],
    responses=describe_responses(
        {200: ("what was found and done", SyncResponse)}, asks_wechat=True
    ),
)
def sync_merchants(sync: Annotated[MerchantSync, needs(MerchantSync)]) -> SyncResponse:
    """Adopt what was registered elsewhere, correct names and icons, report what is missing."""
    return SyncResponse.of(sync.run())


@router.get(
    _ONE,
    summary="Read a merchant",
    operation_id="readMerchant",
    tags=["merchants"],
    responses=describe_responses(
        {200: ("the merchant", MerchantResponse)},
        problems=(InvalidRequestError, NotFoundError),
    ),
)
def read_merchant(business_id: BusinessId, admin: NeedsAdmin) -> MerchantResponse:
    return MerchantResponse.of(admin.get(business_id))


@router.patch(
    _ONE,
    summary="Change a merchant",
    operation_id="changeMerchant",
    tags=["merchants"],
    responses=describe_responses(
        {200: ("the merchant as it is now", MerchantResponse)},
        problems=(InvalidRequestError, NotFoundError, MissingAtWeChatError, ConflictError),
        asks_wechat=True,
    ),
)
def change_merchant(
    business_id: BusinessId,
    body: Annotated[ChangeMerchantRequest, Body()],
    admin: NeedsAdmin,
) -> MerchantResponse:
    """Change what is given; WeChat is called only for what differs there. Safe to repeat."""
    return MerchantResponse.of(admin.change(business_id, body.to_domain()))


@router.delete(
    _ONE,
    summary="Deactivate a merchant",
    operation_id="deactivateMerchant",
    tags=["merchants"],
    responses=describe_responses(
        {200: ("the merchant, now inactive", MerchantResponse)},
        problems=(InvalidRequestError, NotFoundError),
    ),
)
def deactivate_merchant(business_id: BusinessId, admin: NeedsAdmin) -> MerchantResponse:
    """Deactivate a merchant in this stack only: WeChat has no delete.

    An inactive merchant gets no contact button and may not send. What its buyers still write is
    delivered as before, to its own subscriptions and to those of `*`. `PATCH` with `status`
    `active` reactivates it.
    """
    change = MerchantChange(status=MerchantStatus.INACTIVE)
    return MerchantResponse.of(admin.change(business_id, change))


@router.get(
    f"{_ONE}/contact-button",
    summary="Read the contact button of a merchant",
    operation_id="readContactButton",
    tags=["merchants"],
    responses=describe_responses(
        {200: ("attributes and WXML", ContactButtonResponse)},
        problems=(InvalidRequestError, NotFoundError, MerchantInactiveError),
    ),
)
def get_contact_button(business_id: BusinessId, admin: NeedsAdmin) -> ContactButtonResponse:
    """Return the attributes of `<button open-type="contact">` for the Mini Program."""
    merchant = admin.get(business_id)
    return ContactButtonResponse.of(merchant.business_id, contact_button(merchant))
