"""What is known of a call that failed: never sent, or perhaps sent."""

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.unit.wechat.client_loopback import (
    CUT_AFTER_READING,
    HANG,
    LoopbackWeChat,
    ManualClock,
    Reply,
    closed_port,
    json_reply,
    listening_socket,
    reset,
)
from wechat_kf.wechat import operations, session
from wechat_kf.wechat.errors import (
    InvalidInputError,
    MalformedReplyError,
    Retry,
    TransportError,
)
from wechat_kf.wechat.session import IDLE_SECONDS
from wechat_kf.wechat.transport import MAX_REPLY_BYTES, Call, Timeouts, Transport

QUICK = Timeouts(connect=0.3, read=0.3, reply=0.3)
"""For calls that have to time out."""

SEND = operations.SEND_AS_SUB_MERCHANT
SEND_CALL = Call(SEND, {"access_token": "T"}, {"text": "hello"})


def failure(transport: Transport, call: Call = SEND_CALL) -> TransportError:
    with pytest.raises(TransportError) as caught:
        transport.send(call)
    return caught.value


def test_a_reply_comes_back_with_status_and_bytes(transport: Transport) -> None:
    reply = transport.send(SEND_CALL)

    assert reply.status == 200
    assert b'"errmsg": "ok"' in reply.body


def test_refused_connection_is_never_sent() -> None:
    error = failure(Transport([f"http://127.0.0.1:{closed_port()}"]))

    assert error.sent == "never"
    assert (error.code, error.status, error.retry) == ("wechat_unreachable", 503, Retry.BACKOFF)


def test_unknown_host_is_never_sent() -> None:
    assert failure(Transport(["https://wechat.invalid"])).sent == "never"


def test_connection_reset_during_the_tls_handshake_is_never_sent() -> None:
    with listening_socket() as (listener, port):
        thread = threading.Thread(target=lambda: reset(listener.accept()[0]))
        thread.start()
        error = failure(Transport([f"https://127.0.0.1:{port}"]))
        thread.join()

    assert error.sent == "never"


def test_silence_during_the_tls_handshake_is_never_sent() -> None:
    with listening_socket() as (_, port):
        assert failure(Transport([f"https://127.0.0.1:{port}"], QUICK)).sent == "never"


def test_plain_text_instead_of_tls_is_never_sent(wechat: LoopbackWeChat) -> None:
    assert failure(Transport([f"https://127.0.0.1:{wechat.port}"], QUICK)).sent == "never"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts yet, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "loopback.pem"
    file.write_bytes(
        signed.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return file


@pytest.fixture
def tls_wechat(certificate: Path) -> Iterator[LoopbackWeChat]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with LoopbackWeChat(tls=context) as server:
        yield server


def test_a_certificate_that_is_not_trusted_is_never_sent(tls_wechat: LoopbackWeChat) -> None:
    assert failure(Transport([tls_wechat.origin])).sent == "never"
    assert tls_wechat.received == []


def test_over_tls_the_same_is_known(
    tls_wechat: LoopbackWeChat, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    transport = Transport([tls_wechat.origin])

    assert transport.send(SEND_CALL).status == 200
    tls_wechat.answer(SEND.path, CUT_AFTER_READING)
    assert failure(transport).sent == "perhaps"


def test_cut_before_reading_is_perhaps_sent(wechat: LoopbackWeChat, transport: Transport) -> None:
    wechat.cut_before_reading = True

    error = failure(transport)

    assert error.sent == "perhaps"
    assert (error.code, error.status, error.retry) == ("wechat_did_not_answer", 504, Retry.NEVER)


@pytest.mark.parametrize(
    "reply",
    [
        CUT_AFTER_READING,
        HANG,
        Reply(b'{"errcode":0}', ending="truncated"),
        Reply(b'{"errcode":0, "errmsg":"ok"}', ending="drip"),
    ],
    ids=["cut", "hang", "truncated", "drip"],
)
def test_anything_lost_after_sending_is_perhaps_sent(wechat: LoopbackWeChat, reply: Reply) -> None:
    wechat.answer(SEND.path, reply)

    assert failure(Transport([wechat.origin], QUICK)).sent == "perhaps"
    assert len(wechat.received) == 1


def test_cut_on_a_reused_connection_is_perhaps_sent(
    wechat: LoopbackWeChat, transport: Transport
) -> None:
    transport.send(SEND_CALL)
    wechat.answer(SEND.path, CUT_AFTER_READING)

    assert failure(transport).sent == "perhaps"
    assert wechat.connections == 1


@pytest.mark.parametrize("operation", [SEND, operations.LIST, operations.DOWNLOAD])
def test_nothing_is_repeated_on_the_same_host(
    wechat: LoopbackWeChat, transport: Transport, operation: operations.Operation
) -> None:
    wechat.answer(operation.path, CUT_AFTER_READING)

    failure(transport, Call(operation))

    assert len(wechat.received) == 1


def test_a_read_that_is_perhaps_sent_may_be_repeated(
    wechat: LoopbackWeChat, transport: Transport
) -> None:
    wechat.answer(operations.LIST.path, CUT_AFTER_READING)

    assert failure(transport, Call(operations.LIST, document={})).retry is Retry.BACKOFF


def test_connections_are_reused(wechat: LoopbackWeChat, transport: Transport) -> None:
    for _ in range(3):
        transport.send(SEND_CALL)

    assert wechat.connections == 1


def test_closing_ends_the_connections_and_opens_no_session(
    wechat: LoopbackWeChat, transport: Transport
) -> None:
    transport.close()
    assert "_session" not in vars(transport)
    transport.send(SEND_CALL)
    transport.close()
    transport.send(SEND_CALL)
    assert wechat.connections == 2


@pytest.fixture
def idle_clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    clock = ManualClock()
    monkeypatch.setattr(session, "now", clock)
    return clock


def two_at_once(wechat: LoopbackWeChat, transport: Transport) -> None:
    wechat.answer(SEND.path, *[Reply(b'{"errcode":0}', ending="drip")] * 2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(transport.send, [SEND_CALL] * 2))


def test_connections_that_were_idle_for_long_are_not_reused(
    wechat: LoopbackWeChat, transport: Transport, idle_clock: ManualClock
) -> None:
    transport.send(SEND_CALL)

    idle_clock.now += IDLE_SECONDS
    transport.send(SEND_CALL)
    assert wechat.connections == 1

    idle_clock.now += IDLE_SECONDS + 0.001
    transport.send(SEND_CALL)
    assert wechat.connections == 2


def test_one_busy_connection_does_not_keep_the_idle_ones_alive(
    wechat: LoopbackWeChat, transport: Transport, idle_clock: ManualClock
) -> None:
    two_at_once(wechat, transport)
    for _ in range(5):
        idle_clock.now += IDLE_SECONDS / 2
        transport.send(SEND_CALL)
    assert wechat.connections == 2

    two_at_once(wechat, transport)

    assert wechat.connections == 3


# Several hosts


def test_an_unreachable_host_hands_over_to_the_next(wechat: LoopbackWeChat) -> None:
    transport = Transport([f"http://127.0.0.1:{closed_port()}", wechat.origin])

    assert transport.send(SEND_CALL).status == 200


@pytest.mark.parametrize("reply", [CUT_AFTER_READING, HANG], ids=["cut", "hang"])
@pytest.mark.parametrize("operation", [SEND, operations.LIST], ids=["send", "list"])
def test_what_may_have_been_sent_is_not_sent_to_another_host(
    wechat: LoopbackWeChat, reply: Reply, operation: operations.Operation
) -> None:
    wechat.answer(operation.path, reply)
    with LoopbackWeChat() as other:
        error = failure(
            Transport([wechat.origin, other.origin], QUICK), Call(operation, document={})
        )

        assert error.sent == "perhaps"
        assert other.received == []


def test_a_failure_after_a_handover_is_perhaps_sent(wechat: LoopbackWeChat) -> None:
    wechat.answer(SEND.path, CUT_AFTER_READING)
    transport = Transport([f"http://127.0.0.1:{closed_port()}", wechat.origin])

    assert failure(transport).sent == "perhaps"


def test_an_error_status_is_an_answer_and_no_reason_to_change_hosts(
    wechat: LoopbackWeChat,
) -> None:
    wechat.answer(SEND.path, Reply(status=500))
    with LoopbackWeChat() as other:
        assert Transport([wechat.origin, other.origin]).send(SEND_CALL).status == 500
        assert other.received == []


def test_a_detour_lasts_a_minute(wechat: LoopbackWeChat) -> None:
    clock, port = ManualClock(), closed_port()
    transport = Transport([f"http://127.0.0.1:{port}", wechat.origin], clock=clock)
    transport.send(SEND_CALL)

    with LoopbackWeChat(port) as first:
        transport.send(SEND_CALL)
        assert (len(first.received), len(wechat.received)) == (0, 2)

        clock.now += 61
        transport.send(SEND_CALL)
        assert (len(first.received), len(wechat.received)) == (1, 2)
        transport.close()


@pytest.mark.parametrize(
    "host",
    [
        "http://api.weixin.qq.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "api.weixin.qq.com",
        "ftp://api.weixin.qq.com",
        "https://",
        "https://user:password@api.weixin.qq.com",
        "https://api.weixin.qq.com/cgi-bin",
        "https://api.weixin.qq.com?x=1",
        "https://api.weixin.qq.com:port",
        "https://[::1",
    ],
)
def test_hosts_must_be_https_origins(host: str) -> None:
    with pytest.raises(InvalidInputError, match="hosts"):
        Transport([host])


@pytest.mark.parametrize(
    "host",
    [
        "https://api.weixin.qq.com",
        "https://sh.api.weixin.qq.com/",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
    ],
)
def test_https_anywhere_and_http_to_oneself_are_accepted(host: str) -> None:
    Transport([host])


def test_at_least_one_host_is_needed() -> None:
    with pytest.raises(InvalidInputError, match="hosts"):
        Transport([])


# Requests and replies


def test_bodies_are_raw_utf8(wechat: LoopbackWeChat, transport: Transport) -> None:
    transport.send(Call(SEND, document={"text": '你好 😀 <a href="x">&</a>'}))

    assert wechat.last.body == '{"text":"你好 😀 <a href=\\"x\\">&</a>"}'.encode()
    assert wechat.last.headers["Content-Type"] == "application/json; charset=utf-8"


def test_a_lone_surrogate_is_refused_without_being_shown(
    wechat: LoopbackWeChat, transport: Transport
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        transport.send(Call(SEND, document={"text": "private words \ud800"}))

    assert "private" not in str(caught.value)
    assert caught.value.__context__ is None
    assert wechat.received == []


def test_redirects_are_not_followed(wechat: LoopbackWeChat, transport: Transport) -> None:
    wechat.answer(SEND.path, Reply(status=302, headers={"Location": "/elsewhere"}))

    assert transport.send(SEND_CALL).status == 302
    assert [received.path for received in wechat.received] == [SEND.path]


def test_proxies_of_the_environment_are_ignored(
    wechat: LoopbackWeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert Transport([wechat.origin]).send(SEND_CALL).status == 200


def test_a_reply_may_be_as_large_as_the_limit_and_no_larger(
    wechat: LoopbackWeChat, transport: Transport
) -> None:
    assert MAX_REPLY_BYTES == 10 * 1024 * 1024
    path = operations.DOWNLOAD.path
    wechat.answer(path, Reply(b"x" * MAX_REPLY_BYTES), Reply(b"x" * (MAX_REPLY_BYTES + 1)))
    call = Call(operations.DOWNLOAD)

    assert len(transport.send(call).body) == MAX_REPLY_BYTES
    with pytest.raises(MalformedReplyError, match="too large"):
        transport.send(call)


def test_chunked_replies_are_read(wechat: LoopbackWeChat, transport: Transport) -> None:
    chunked = b'5\r\n{"err\r\n9\r\ncode": 0}\r\n0\r\n\r\n'
    with listening_socket() as (listener, port):

        def serve() -> None:
            connection = listener.accept()[0]
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked
                )

        thread = threading.Thread(target=serve)
        thread.start()
        reply = Transport([f"http://127.0.0.1:{port}"]).send(Call(operations.LIST))
        thread.join()

    assert reply.body == b'{"errcode": 0}'


def test_queries_are_encoded(wechat: LoopbackWeChat, transport: Transport) -> None:
    wechat.answer("/cgi-bin/media/get", json_reply({}))

    transport.send(Call(operations.DOWNLOAD, {"media_id": "a&b=c/?#微"}))

    assert wechat.last.query == {"media_id": "a&b=c/?#微"}
