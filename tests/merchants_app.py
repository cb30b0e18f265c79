"""The merchants routes on the fakes: the function without AWS and without WeChat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from tests.fake_directory import FakeDirectory
from tests.fakes import FakeClock, InMemoryMerchants
from tests.unit.api.http_events import http_event
from wechat_kf.api import merchant_routes
from wechat_kf.api.app import create_app
from wechat_kf.domain.merchants.changes import MerchantAdmin
from wechat_kf.domain.merchants.reconciliation import MerchantSync
from wechat_kf.domain.merchants.registration import Registrar

NO_CONTEXT = cast(Any, None)


@dataclass
class MerchantsApp:
    """`call` is one request; `store` and `directory` are what it works on."""

    store: InMemoryMerchants = field(default_factory=InMemoryMerchants)
    directory: FakeDirectory = field(default_factory=FakeDirectory)

    def __post_init__(self) -> None:
        clock = FakeClock()
        registrar = Registrar(self.store, self.directory, clock, pause=lambda _: None)
        self._app = create_app(
            merchant_routes,
            provided={
                Registrar: registrar,
                MerchantAdmin: MerchantAdmin(self.store, self.directory, clock),
                MerchantSync: MerchantSync(self.store, self.directory, self.store, clock),
            },
        )

    def call(self, method: str, path: str, body: Any = None, **event: Any) -> dict[str, Any]:
        """API Gateway's answer; `event` as in `http_event`."""
        return self.resolve(http_event(method, path, body, **event))

    def resolve(self, event: dict[str, Any]) -> dict[str, Any]:
        """The answer to an event of API Gateway's."""
        return self._app.resolve(event, NO_CONTEXT)
