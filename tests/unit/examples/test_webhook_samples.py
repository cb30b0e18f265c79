"""The verification samples, each run where its language is on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.programs import needs, output
from wechat_kf_cli.stack.state import ROOT
from wechat_kf_local.emulator import find_free_port

SAMPLES = ROOT / "examples" / "webhooks"
FILES = ("verify.py", "server.mjs", "Verify.java", "verify.go", "verify.php")
PAGES = ("docs/events.md", "docs/zh-CN/events.md")
SECRET, OTHER = (f"whsec_{base64.b64encode(bytes([one]) * 24).decode()}" for one in (7, 8))
BODY = '{"id":"e1","text":"“L 码”\\\\ 🧥"}'.encode()


def sign(secret: str, event_id: str, timestamp: object, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


Case = tuple[dict[str, str], bytes]


def case(body: bytes = BODY, *, age: int = 0, signed: bytes | None = None, **changed: str) -> Case:
    timestamp = str(int(time.time()) - age)
    signature = sign(SECRET, "e1", timestamp, body if signed is None else signed)
    headers = {"id": "e1", "timestamp": timestamp, "signature": signature, **changed}
    return {f"webhook-{name}": value for name, value in headers.items()}, body


def rotated() -> Case:
    """Signed with the new secret first, then with ours."""
    headers, body = case()
    other = sign(OTHER, "e1", headers["webhook-timestamp"], body)
    return {**headers, "webhook-signature": f"{other} {headers['webhook-signature']}"}, body


GENUINE: dict[str, Callable[[], Case]] = {
    "plain": case,
    "two signatures": rotated,
    "150 KB": lambda: case(b'{"id":"e1","text":"' + b"x" * 150_000 + b'"}'),
}
FORGED: dict[str, Callable[[], Case]] = {
    "other body": lambda: case(signed=b"{}"),
    "too old": lambda: case(age=360),
    "of the future": lambda: case(age=-360),
    "no headers": lambda: ({}, BODY),
    "no time": lambda: case(timestamp="yesterday"),
    "other version": lambda: case(signature=case()[0]["webhook-signature"].replace("v1", "v2")),
    "garbage": lambda: case(signature="garbage"),
    "not base64": lambda: case(signature="v1,%%%"),
    "other secret": lambda: case(signature=sign(OTHER, "e1", int(time.time()), BODY)),
}
CASES = {**GENUINE, **FORGED}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", FILES)
def test_the_page_shows_the_file(page: str, name: str) -> None:
    sample = (SAMPLES / name).read_text(encoding="utf-8").rstrip("\n")
    assert f"\n{sample}\n```" in (ROOT / page).read_text(encoding="utf-8")


def as_arguments(folder: Path) -> list[str]:
    """The secret, then id, time, signatures and the file with the body of each case."""
    arguments = [SECRET]
    for number, make in enumerate(CASES.values()):
        headers, body = make()
        (folder / str(number)).write_bytes(body)
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        arguments += [headers.get(name, "") for name in names] + [str(folder / str(number))]
    return arguments


def check(answers: str) -> None:
    assert dict(zip(CASES, answers.split(), strict=True)) == {
        name: str(name in GENUINE).lower() for name in CASES
    }


@needs("javac")
def test_java(tmp_path: Path) -> None:
    (tmp_path / "Run.java").write_text(
        """
        import java.nio.file.*;
        public class Run {
            public static void main(String[] all) throws Exception {
                for (int at = 1; at < all.length; at += 4) {
                    String id = all[at].isEmpty() ? null : all[at];
                    String signatures = all[at + 2].isEmpty() ? null : all[at + 2];
                    byte[] body = Files.readAllBytes(Path.of(all[at + 3]));
                    System.out.println(Verify.verify(all[0], id, all[at + 1], signatures, body));
                }
            }
        }
        """
    )
    output("javac", "-d", ".", SAMPLES / "Verify.java", "Run.java", folder=tmp_path)
    check(
        output("java", "-Xshare:auto", "-cp", ".", "Run", *as_arguments(tmp_path), folder=tmp_path)
    )


@needs("go")
def test_go(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "verify.go", tmp_path)
    (tmp_path / "run.go").write_text(
        """
        package main

        import ("fmt"; "net/http"; "os")

        func main() {
            for at := 2; at < len(os.Args); at += 4 {
                headers := http.Header{}
                for index, name := range []string{"Id", "Timestamp", "Signature"} {
                    headers.Set("Webhook-"+name, os.Args[at+index])
                }
                body, _ := os.ReadFile(os.Args[at+3])
                fmt.Println(verify(os.Args[1], headers, body))
            }
        }
        """
    )
    check(output("go", "run", "verify.go", "run.go", *as_arguments(tmp_path), folder=tmp_path))


@needs("php")
def test_php(tmp_path: Path) -> None:
    (tmp_path / "run.php").write_text(
        f"""<?php require '{SAMPLES}/verify.php';
        for ($at = 2; $at < count($argv); $at += 4) {{
            $headers = ['Webhook-Id' => $argv[$at], 'Webhook-Timestamp' => $argv[$at + 1],
                        'Webhook-Signature' => $argv[$at + 2]];
            $body = file_get_contents($argv[$at + 3]);
            echo verify($argv[1], $headers, $body) ? "true\\n" : "false\\n";
        }}"""
    )
    check(output("php", "run.php", *as_arguments(tmp_path), folder=tmp_path))


@contextmanager
def node_server() -> Iterator[str]:
    """The sample as it stands, with a queue that keeps nothing."""
    port = find_free_port()
    queue = "data:text/javascript,globalThis.queue={put: async () => {}}"
    process = subprocess.Popen(
        ["node", "--import", queue, "server.mjs"],
        cwd=SAMPLES,
        env={**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": str(port)},
    )
    try:
        url = f"http://127.0.0.1:{port}/wechat"
        for _ in range(200):
            if process.poll() is not None:
                break
            try:
                requests.get(url, timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(
    not (ROOT / "examples" / "node_modules").exists(), reason="npm install in examples first"
)
def test_node() -> None:
    with node_server() as url:
        for name, make in CASES.items():
            headers, body = make()
            headers["content-type"] = "application/cloudevents+json; charset=utf-8"
            answer = requests.post(url, body, headers=headers, timeout=10)
            assert answer.status_code == (204 if name in GENUINE else 401), name


@pytest.mark.parametrize("name", CASES)
def test_python(name: str) -> None:
    class Queue:
        put = staticmethod(lambda event: None)

    names: dict[str, object] = {"SECRET": SECRET, "queue": Queue}
    exec((SAMPLES / "verify.py").read_text(), names)  # noqa: S102 - our own file
    handle: Callable[[str, dict[str, str]], int] = names["handle"]  # type: ignore[assignment]
    headers, body = CASES[name]()
    assert handle(body.decode(), headers) == (204 if name in GENUINE else 401)
