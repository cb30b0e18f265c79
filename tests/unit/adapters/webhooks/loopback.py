"""Servers on the loopback that behave as the tests want, byte by byte."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 204 No Content\r\n\r\n"

Script = Callable[[socket.socket], None]
"""What a server does with a connection whose request it has read."""


def answer(*parts: bytes) -> Script:
    """Send `parts` and close."""

    def send(connection: socket.socket) -> None:
        connection.sendall(b"".join(parts))

    return send


@dataclass
class Server:
    """A port, and the requests that came to it."""

    port: int
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def serving(
    script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """A server that reads one request per connection and then follows `script`."""
    with socket.create_server((host, 0)) as listener:
        server = Server(listener.getsockname()[1])
        threading.Thread(target=_serve, args=(listener, script, tls, server), daemon=True).start()
        yield server
        # Wakes the thread: closing a listener does not end an accept that is under way.
        listener.shutdown(socket.SHUT_RDWR)


def _serve(
    listener: socket.socket, script: Script, tls: ssl.SSLContext | None, server: Server
) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_talk, args=(connection, script, tls, server), daemon=True).start()


def _talk(
    connection: socket.socket, script: Script, tls: ssl.SSLContext | None, server: Server
) -> None:
    try:
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection:
            connection.settimeout(5)
            server.requests.append(_read_request(connection))
            script(connection)
    except OSError:
        return  # the client gave up, as it should


def _read_request(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65536)
    head, _, body = request.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class Certificates:
    """A certificate for `name`, self-signed: `server` presents it, `client` trusts it."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def certificates(name: str, directory: Path) -> Certificates:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "certificate.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = ssl.create_default_context(cafile=str(file))
    # Python 3.13 asks for key identifiers that a throw-away certificate does not have.
    client.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return Certificates(server, client)
