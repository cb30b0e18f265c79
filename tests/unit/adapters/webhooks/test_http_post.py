"""One request to a host that is down, slow or hostile."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.adapters.webhooks.loopback import OK, Script, answer, certificates, serving
from wechat_kf.adapters.webhooks.http_post import (
    TOTAL_SECONDS,
    HttpPoster,
    PostError,
    Reply,
    Request,
    resolve,
)
from wechat_kf.adapters.webhooks.webhook_url import WebhookUrl, parse_webhook_url

LIMIT = 0.3
"""Seconds, where they have to run out; else there are the usual five."""


def request_to(port: int, *, body: bytes = b"{}", path: str = "/hook") -> Request:
    url = parse_webhook_url(f"http://127.0.0.1:{port}{path}", allow_loopback=True)
    return Request(url, {"Content-Type": "text/plain"}, body)


def poster(total_seconds: float = TOTAL_SECONDS) -> HttpPoster:
    return HttpPoster(allow_loopback=True, total_seconds=total_seconds)


def reason_of(script: Script, total_seconds: float = TOTAL_SECONDS) -> str:
    """Why there is no reply from such a server."""
    with serving(script) as server, pytest.raises(PostError) as failure:
        poster(total_seconds).post(request_to(server.port))
    return failure.value.reason


def test_a_request_arrives_as_it_was_and_the_reply_comes_back() -> None:
    with serving(answer(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")) as server:
        reply = poster().post(request_to(server.port, body="你好".encode(), path="/a?b=c"))
    assert reply == Reply(202, None)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}".encode() in head
    assert head.count(b"Host:") == 1
    assert body == "你好".encode()


def test_retry_after_comes_back() -> None:
    with serving(answer(b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\n\r\n")) as server:
        assert poster().post(request_to(server.port)) == Reply(503, "120")


def test_a_redirect_is_a_reply_and_is_not_followed() -> None:
    with serving(answer(OK)) as inside:
        location = f"Location: http://127.0.0.1:{inside.port}/\r\n".encode()
        with serving(answer(b"HTTP/1.1 307 There\r\n", location, b"\r\n")) as server:
            assert poster().post(request_to(server.port)) == Reply(307, None)
    assert inside.requests == []


def test_the_body_of_a_reply_is_not_waited_for() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with serving(endless) as server:
        assert poster().post(request_to(server.port)).status == 200


def silence(connection: socket.socket) -> None:
    connection.recv(1)


def trickle_of(start: bytes, byte: bytes) -> Script:
    """Never silent for long, and never done."""

    def send(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(byte)
            time.sleep(LIMIT / 10)

    return send


def forever_100(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(LIMIT / 50)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(silence, id="silence"),
        pytest.param(trickle_of(b"", b"H"), id="trickling status line"),
        pytest.param(trickle_of(b"HTTP/1.1 200 OK\r\n", b"a"), id="trickling header"),
        pytest.param(trickle_of(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"), id="trickling headers"),
        pytest.param(forever_100, id="100 Continue for ever"),
    ],
)
def test_the_time_limit_is_for_everything_together(script: Script) -> None:
    assert reason_of(script, LIMIT) == "timed out"


def test_a_server_that_does_not_read_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PostError) as failure:
            poster(LIMIT).post(request_to(port, body=b"x" * 50_000_000))
    assert failure.value.reason == "timed out"


@pytest.mark.parametrize(
    "reply",
    [
        b"garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 1_000_000 + b"\r\n\r\n",
        b"H" * 1_000_000,
    ],
    ids=lambda reply: repr(reply[:20]),
)
def test_what_is_not_http_is_given_up(reply: bytes) -> None:
    assert reason_of(answer(reply)) in ("no HTTP reply", "connection failed")


def test_a_connection_that_ends_is_a_failure() -> None:
    assert reason_of(answer()) == "connection failed"


def test_a_port_where_nobody_listens_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PostError, match="connection failed"):
        poster().post(request_to(port))


def named(host: str, port: int, scheme: str = "https") -> Request:
    return Request(WebhookUrl(scheme, host, port, "/hook"), {}, b"{}")


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.1.2.3"],
        ["::1"],
        ["::ffff:10.1.2.3"],
        ["fd00:ec2::254"],
        ["1.1.1.1", "192.168.0.1"],
        [],
    ],
    ids=str,
)
def test_a_name_that_leads_inside_is_not_called(answers: list[str]) -> None:
    with serving(answer(OK)) as server:
        guarded = HttpPoster(resolve=lambda _host, _port: answers)
        with pytest.raises(PostError) as failure:
            guarded.post(named("inside.example.com", server.port, "http"))
    assert failure.value.reason == "address not allowed"
    assert server.requests == []


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.3"]

    with serving(answer(OK), host="127.0.0.2") as server:
        guarded = HttpPoster(allow_loopback=True, resolve=rebinding)
        guarded.post(named("rebinding.example.com", server.port, "http"))
    assert asked == ["rebinding.example.com"]
    assert f"Host: rebinding.example.com:{server.port}".encode() in server.requests[0]


def test_the_next_address_is_tried_when_one_is_dead() -> None:
    with serving(answer(OK), host="127.0.0.3") as server:
        both = HttpPoster(
            allow_loopback=True, resolve=lambda _host, _port: ["127.0.0.2", "127.0.0.3"]
        )
        assert both.post(named("two.example.com", server.port, "http")).status == 204


def test_a_slow_look_up_counts_too() -> None:
    never = threading.Event()

    def slow(_host: str, _port: int) -> Sequence[str]:
        never.wait(20)
        return ["1.1.1.1"]

    started = time.monotonic()
    with pytest.raises(PostError, match="timed out"):
        HttpPoster(total_seconds=LIMIT, resolve=slow).post(named("slow.example.com", 443))
    never.set()
    assert time.monotonic() - started < 10


def test_a_name_that_does_not_exist_is_a_failure() -> None:
    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(PostError, match="name not resolved"):
        HttpPoster(resolve=unknown).post(named("nowhere.example.com", 443))


def test_tls_is_verified_against_the_name(tmp_path: Path) -> None:
    known = certificates("hooks.example.com", tmp_path)
    client = HttpPoster(
        allow_loopback=True,
        resolve=lambda _host, _port: ["127.0.0.1"],
        tls=known.client,
    )
    with serving(answer(OK), tls=known.server) as server:
        assert client.post(named("hooks.example.com", server.port)).status == 204
        with pytest.raises(PostError, match="TLS failed"):
            client.post(named("other.example.com", server.port))
    assert len(server.requests) == 1


def test_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    own = certificates("hooks.example.com", tmp_path)
    usual = HttpPoster(allow_loopback=True, resolve=lambda _host, _port: ["127.0.0.1"])
    with (
        serving(answer(OK), tls=own.server) as server,
        pytest.raises(PostError, match="TLS failed"),
    ):
        usual.post(named("hooks.example.com", server.port))
    assert server.requests == []


def test_a_server_that_does_not_speak_tls_is_a_failure() -> None:
    with serving(answer(OK)) as server, pytest.raises(PostError) as failure:
        poster(LIMIT).post(named("127.0.0.1", server.port))
    assert failure.value.reason in ("TLS failed", "timed out")


def test_a_silent_tls_handshake_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(PostError, match="timed out"),
    ):
        poster(LIMIT).post(named("127.0.0.1", listener.getsockname()[1]))


def test_the_environments_proxy_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer(OK)) as proxy, serving(answer(OK)) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        poster().post(request_to(server.port))
    assert (len(proxy.requests), len(server.requests)) == (0, 1)


def test_nothing_of_the_url_or_body_is_logged_or_raised(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(answer()) as server, pytest.raises(PostError) as failure:
        poster().post(request_to(server.port, path="/hook?key=hunter2", body=b"hunter2"))
    assert "hunter2" not in caplog.text
    assert "hunter2" not in repr(failure.value)
    assert failure.value.__context__ is None
    assert "hunter2" not in repr(request_to(1, path="/hook?key=hunter2", body=b"hunter2"))


def test_many_requests_go_side_by_side() -> None:
    all_here = threading.Barrier(10)

    def sociable(connection: socket.socket) -> None:
        all_here.wait(5)
        connection.sendall(OK)

    shared = poster()
    with serving(sociable) as server, ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(shared.post, [request_to(server.port)] * 10))
    assert replies == [Reply(204, None)] * 10


def test_the_systems_answer_has_ipv4_first() -> None:
    found = resolve("localhost", 80)
    assert "127.0.0.1" in found
    assert found == sorted(found, key=lambda address: ":" in address)
