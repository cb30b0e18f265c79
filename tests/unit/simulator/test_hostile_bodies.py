"""Bodies nobody should send: an HTTP 500 of ours would pass for one of WeChat's."""

import pytest

from tests.unit.simulator.simulator_loopback import BUYER, Simulator


@pytest.mark.parametrize("boundary", ["", "; boundary=x"])
def test_a_multipart_that_is_none_holds_no_media(simulator: Simulator, boundary: str) -> None:
    query = {"access_token": simulator.stable()["access_token"], "type": "image"}

    answer = simulator.raw(
        "POST",
        "/cgi-bin/media/upload",
        params=query,
        data=b"no parts",
        headers={"Content-Type": "multipart/form-data" + boundary},
    )

    assert answer.status_code == 200
    assert answer.json()["errcode"] == 41005


@pytest.mark.parametrize("business_id", ["9" * 5_000, "٣", "²", "-1", "", 10**30, -1, True, None])
def test_an_id_that_cannot_be_one_is_not_found(simulator: Simulator, business_id: object) -> None:
    answer = simulator.api("/cgi-bin/business/get", {"business_id": business_id})

    assert answer["errcode"] == 45071


def test_the_control_api_finds_no_such_merchant_either(simulator: Simulator) -> None:
    order = {"business_id": "9" * 5_000, "content": "在吗"}

    answer = simulator.raw("POST", f"/_sim/buyers/{BUYER}/text", json=order)

    assert answer.status_code == 404
    assert answer.json()["errcode"] == 45071
