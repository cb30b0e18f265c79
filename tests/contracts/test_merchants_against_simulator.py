"""Merchant management against the WeChat simulator: the real rules, the real failures, no AWS."""

from __future__ import annotations

import csv
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from tests.contracts.simulator_process import APP_ID, APP_SECRET, running_simulator
from tests.fakes import FakeClock, InMemoryMerchants
from tests.merchants_app import MerchantsApp
from wechat_kf.adapters.wechat.directory import WeChatDirectory
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.merchants.changes import MerchantAdmin, MerchantChange
from wechat_kf.domain.merchants.merchant import (
    AccountNameTakenError,
    DirectoryEntry,
    Merchant,
    Registration,
)
from wechat_kf.domain.merchants.reconciliation import MerchantSync, SyncReport
from wechat_kf.domain.merchants.registration import Registrar
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.errors import WeChatApiError
from wechat_kf.wechat.tokens import stable_token
from wechat_kf.wechat.transport import Timeouts, Transport
from wechat_kf_cli.main import run
from wechat_kf_cli.ops import import_merchants
from wechat_kf_local.png import plain_png

REGISTER = "/cgi-bin/business/register"
SHOP = Registration("shop_0042", "苹果旗舰店", icon=plain_png(), external_id="m-1001")

HASTY = pytest.mark.parametrize("timeouts", [Timeouts(read=0.5)], ids=["hasty"])


@dataclass
class OneToken:
    """The token source of a test that needs no second one."""

    transport: Transport
    token: str = field(default="", repr=False)

    def current(self) -> str:
        if not self.token:
            issued = stable_token(self.transport, app_id=APP_ID, app_secret=APP_SECRET)
            self.token = issued.access_token
        return self.token

    def refused(self, token: str) -> str:
        raise AssertionError("a good token was refused")


class World:
    """The simulator, and our use cases on it with a store in memory."""

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        self.url = url
        self.transport = Transport([url], timeouts)
        client = WeChatClient(self.transport, tokens=OneToken(self.transport), app_id=APP_ID)
        self.directory = WeChatDirectory(client)
        self.store = InMemoryMerchants()
        clock = FakeClock()
        self.registrar = Registrar(self.store, self.directory, clock, pause=lambda _: None)
        self.admin = MerchantAdmin(self.store, self.directory, clock)
        self.sync = MerchantSync(self.store, self.directory, self.store, clock)

    def control(self, method: str, path: str, document: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}/_sim/{path}", json=document, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def fault(self, kind: str, match: str = REGISTER) -> None:
        self.control("POST", "faults", {"kind": kind, "match": match, "times": 1})

    def registered_elsewhere(self, count: int) -> None:
        for number in range(count):
            document = {"account_name": f"shop_{number:04}", "nickname": f"商店{number}"}
            self.control("POST", "merchants", document)

    def accounts(self) -> list[str]:
        return [item["account_name"] for item in self.control("GET", "merchants")["items"]]

    def calls(self, path: str) -> int:
        count: int = self.control("GET", "counters")["calls"].get(path, 0)
        return count

    @property
    def agrees(self) -> bool:
        records = self.store.list(limit=10_000, cursor=None).items
        ours = {_entry(record) for record in records}
        return ours == set(self.directory.list(lambda business_id: None))


def _entry(record: Merchant) -> DirectoryEntry:
    return DirectoryEntry(record.business_id, record.account_name, record.nickname, record.icon_url)


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    with running_simulator() as url:
        yield url


@pytest.fixture
def world(simulator_url: str, timeouts: Timeouts) -> Iterator[World]:
    made = World(simulator_url, timeouts)
    made.control("POST", "reset", {"settings": True})
    yield made
    made.transport.close()


def test_a_merchant_is_registered_with_its_icons_address(world: World) -> None:
    merchant, created = world.registrar.register(SHOP)
    assert created
    assert merchant.icon_url
    assert world.agrees


@HASTY
@pytest.mark.parametrize("kind", ["cut_after", "slow:1000"])
def test_a_connection_lost_after_wechat_did_it_is_settled(world: World, kind: str) -> None:
    world.fault(kind)
    merchant, created = world.registrar.register(SHOP)
    assert created
    assert world.accounts() == ["shop_0042"]
    assert world.registrar.register(SHOP) == (merchant, False)


@HASTY
@pytest.mark.parametrize("kind", ["cut_before", "hang", "http_500", "html"])
def test_a_connection_lost_before_wechat_did_it_can_be_repeated(world: World, kind: str) -> None:
    world.fault(kind)
    with pytest.raises(UnavailableError):
        world.registrar.register(SHOP)
    _, created = world.registrar.register(SHOP)
    assert created
    assert world.accounts() == ["shop_0042"]
    assert world.agrees


def test_a_crash_before_our_record_is_mended_without_a_second_account(world: World) -> None:
    world.registrar.register(SHOP)
    again = Registrar(InMemoryMerchants(), world.directory, FakeClock())
    merchant, created = again.register(SHOP)
    assert (merchant.account_name, merchant.external_id, created) == (
        "shop_0042",
        "m-1001",
        False,
    )
    assert world.calls(REGISTER) == 1


def test_callers_who_race_get_one_sub_merchant_and_equal_answers(world: World) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: world.registrar.register(SHOP), range(4)))
    assert world.accounts() == ["shop_0042"]
    assert len({merchant for merchant, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1
    assert world.agrees


def test_a_name_burnt_for_good_is_told_with_errcode_and_rid(world: World) -> None:
    world.fault("errcode:45070")
    with pytest.raises(AccountNameTakenError) as raised:
        world.registrar.register(SHOP)
    assert raised.value.members["errcode"] == 45070
    assert raised.value.members["rid"]


@pytest.mark.parametrize(
    ("settings", "registration", "errcode"),
    [
        ({"max_sub_merchants": 0}, SHOP, 45077),
        ({"sub_merchants_allowed": False}, SHOP, 48001),
        ({}, Registration("shop_0042", "微信官方店", icon=plain_png()), 45079),
        ({}, Registration("shop_0042", "苹果旗舰店", icon="no-such-media"), 40007),
    ],
)
def test_wechats_refusals_keep_their_code_and_leave_no_record(
    world: World, settings: dict[str, Any], registration: Registration, errcode: int
) -> None:
    world.control("PUT", "config", settings)
    with pytest.raises(WeChatApiError) as raised:
        world.registrar.register(registration)
    assert raised.value.errcode == errcode
    assert raised.value.rid
    assert world.store.find_by_account_name("shop_0042") is None


def test_a_change_reaches_wechat_and_survives_a_lost_answer(world: World) -> None:
    merchant, _ = world.registrar.register(SHOP)
    world.fault("cut_after", "/cgi-bin/business/update")
    change = MerchantChange(nickname="香蕉旗舰店", icon=plain_png())
    with pytest.raises(Exception, match="update: no answer"):
        world.admin.change(merchant.business_id, change)
    changed = world.admin.change(merchant.business_id, change)
    assert changed.nickname == "香蕉旗舰店"
    assert changed.icon_url != merchant.icon_url
    assert world.agrees


@pytest.mark.parametrize("count", [0, 1, 200, 201, 500])
def test_every_sub_merchant_of_wechats_list_is_adopted(world: World, count: int) -> None:
    world.registered_elsewhere(count)
    report = world.sync.run()
    assert (report.listed, len(report.added), report.missing) == (count, count, ())
    assert world.agrees
    assert world.sync.run() == SyncReport(listed=count)


def test_hundreds_of_merchants_are_imported_from_a_file(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted by WeChat's limit half-way, raised by the operator, and resumed.

    250, which are more than one page of WeChat's list; the quota of 500 is filled above.
    """
    file = tmp_path / "merchants.csv"
    (tmp_path / "icon.png").write_bytes(plain_png())
    rows = [f"m-{number},,商店{number:03},icon.png" for number in range(250)]
    file.write_text("external_id,account_name,nickname,icon_file\n" + "\n".join(rows))
    app = MerchantsApp(world.store, cast(Any, world.directory))
    monkeypatch.setattr(import_merchants, "find_api", lambda *_: InProcessApi(app))

    world.control("PUT", "config", {"max_sub_merchants": 125})
    assert run(["import", str(file)]) == import_merchants.STOPPED
    assert len(world.accounts()) == 125
    world.control("PUT", "config", {"max_sub_merchants": 250})
    assert run(["import", str(file)]) == import_merchants.DONE

    with file.with_suffix(".result.csv").open(encoding="utf-8", newline="") as found:
        results = list(csv.DictReader(found))
    assert Counter(result["outcome"] for result in results) == {"registered": 250}
    assert len({result["business_id"] for result in results}) == 250
    assert len(set(world.accounts())) == 250
    assert world.agrees


@dataclass
class InProcessApi:
    """The HTTP API without gateway and network."""

    app: MerchantsApp
    lock: threading.Lock = field(default_factory=threading.Lock)  # as in Lambda: one at a time
    url: str = "https://api.test"

    def post(self, path: str, json: Any = None) -> requests.Response:
        with self.lock:
            answer = self.app.call("POST", path, json)
        response = requests.Response()
        response.status_code = answer["statusCode"]
        response._content = answer["body"].encode()
        return response
