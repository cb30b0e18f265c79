"""Routes of /merchants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api.business_ids import BUSINESS_ID
from wechat_kf.api.merchant_models import (
    ChangeMerchantRequest,
    ContactButtonResponse,
    MerchantPage,
    MerchantResponse,
    RegisterMerchantRequest,
    SyncResponse,
)
from wechat_kf.api.responses import answers
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
from wechat_kf.errors import ConflictError, InvalidRequestError, NotFoundError

BusinessId = Annotated[
    str,
    Path(pattern=f"^{BUSINESS_ID}$", description="WeChat's business id", examples=["42"]),
]
Filter = Annotated[
    str | None, Query(min_length=1, max_length=128, description="only the merchant that has it")
]


@dataclass(frozen=True, slots=True)
class MerchantUseCases:
    """What the routes call."""

    registrar: Registrar
    admin: MerchantAdmin
    sync: MerchantSync


def build_router(use_cases: MerchantUseCases) -> APIGatewayHttpRouter:
    """The routes that register, read, change and reconcile merchants."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.post(
        "/merchants",
        summary="Register a merchant",
        operation_id="registerMerchant",
        tags=["merchants"],
        responses=answers(
            {
                201: ("opened at WeChat by this call", MerchantResponse),
                200: ("it was ours already, or WeChat had it; returned as it is", MerchantResponse),
            },
            problems=(InvalidRequestError, ConflictError, AccountNameTakenError),
            asks_wechat=True,
        ),
    )
    def register(body: Annotated[RegisterMerchantRequest, Body()]) -> Response[MerchantResponse]:
        """Open a sub-merchant at WeChat. Safe to repeat after any failure."""
        merchant, created = use_cases.registrar.register(body.to_domain())
        return Response(
            status_code=201 if created else 200,
            content_type="application/json",
            body=MerchantResponse.of(merchant),
            headers={"Location": f"/merchants/{merchant.business_id}"},
        )

    @router.get(
        "/merchants",
        summary="List or find merchants",
        operation_id="listMerchants",
        tags=["merchants"],
        responses=answers({200: ("a page", MerchantPage)}, problems=(InvalidRequestError,)),
    )
    def list_merchants(
        limit: Annotated[int, Query(ge=1, le=200, description="how many at most")] = 50,
        cursor: Annotated[
            str | None, Query(max_length=512, description="`next_cursor` of the page before")
        ] = None,
        account_name: Filter = None,
        external_id: Filter = None,
    ) -> MerchantPage:
        """All merchants, page after page; with a filter the one that matches, if any."""
        query = MerchantQuery(limit, cursor, account_name, external_id)
        return MerchantPage.of(use_cases.admin.search(query))

    @router.post(
        "/merchants/sync",
        summary="Reconcile with WeChat's list",
        operation_id="syncMerchants",
        tags=["merchants"],
        responses=answers({200: ("what was found and done", SyncResponse)}, asks_wechat=True),
    )
    def sync() -> SyncResponse:
        """Adopt what was registered elsewhere, correct names and icons, report what is gone."""
        return SyncResponse.of(use_cases.sync.run())

    @router.get(
        "/merchants/<business_id>",
        summary="Read a merchant",
        operation_id="readMerchant",
        tags=["merchants"],
        responses=answers(
            {200: ("the merchant", MerchantResponse)},
            problems=(InvalidRequestError, NotFoundError),
        ),
    )
    def read(business_id: BusinessId) -> MerchantResponse:
        return MerchantResponse.of(use_cases.admin.get(business_id))

    @router.patch(
        "/merchants/<business_id>",
        summary="Change a merchant",
        operation_id="changeMerchant",
        tags=["merchants"],
        responses=answers(
            {200: ("the merchant as it is now", MerchantResponse)},
            problems=(InvalidRequestError, NotFoundError, MissingAtWeChatError, ConflictError),
            asks_wechat=True,
        ),
    )
    def change(
        business_id: BusinessId, body: Annotated[ChangeMerchantRequest, Body()]
    ) -> MerchantResponse:
        """Change what is given; WeChat is told only what differs there. Safe to repeat."""
        return MerchantResponse.of(use_cases.admin.change(business_id, body.to_domain()))

    @router.delete(
        "/merchants/<business_id>",
        summary="Deactivate a merchant",
        operation_id="deactivateMerchant",
        tags=["merchants"],
        responses=answers(
            {200: ("the merchant, inactive now", MerchantResponse)},
            problems=(InvalidRequestError, NotFoundError),
        ),
    )
    def deactivate(business_id: BusinessId) -> MerchantResponse:
        """Set a merchant aside, on our side only: WeChat has no delete.

        It gets no contact button and may not send. What its buyers still write goes on being
        delivered, to its own subscriptions and those of `*`. `PATCH` with `status` active takes it
        back.
        """
        change = MerchantChange(status=MerchantStatus.INACTIVE)
        return MerchantResponse.of(use_cases.admin.change(business_id, change))

    @router.get(
        "/merchants/<business_id>/contact-button",
        summary="The contact button of a merchant",
        operation_id="contactButton",
        tags=["merchants"],
        responses=answers(
            {200: ("attributes and WXML", ContactButtonResponse)},
            problems=(InvalidRequestError, NotFoundError, MerchantInactiveError),
        ),
    )
    def button(business_id: BusinessId) -> ContactButtonResponse:
        """What to write on `<button open-type="contact">` in the Mini Program."""
        merchant = use_cases.admin.get(business_id)
        return ContactButtonResponse.of(merchant.business_id, contact_button(merchant))

    return router
