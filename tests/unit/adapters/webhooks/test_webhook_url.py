"""Which URLs a webhook may have, and that nobody can read one in two ways."""

from __future__ import annotations

import urllib.parse

import pytest
import urllib3.util
from hypothesis import example, given
from hypothesis.strategies import lists, sampled_from, text

from wechat_kf.adapters.webhooks.public_addresses import is_public
from wechat_kf.adapters.webhooks.webhook_url import WebhookUrl, parse_webhook_url

HOSTILE = [
    "",
    "/relative",
    "example.com/hook",
    "//example.com/hook",
    "http://example.com/hook",
    "ftp://example.com/hook",
    "file:///etc/passwd",
    "gopher://example.com/_x",
    "javascript:alert(1)",
    "https:/example.com",
    "https://",
    "https:///hook",
    "https://localhost/hook",
    "https://localhost.localdomain/hook",
    "https://printer.local/hook",
    "https://metadata.google.internal/",
    "https://instance-data.ec2.internal/latest/meta-data",
    "https://app.localhost/",
    "https://intranet/hook",
    "https://127.0.0.1/hook",
    "https://127.1/hook",
    "https://2130706433/hook",
    "https://0x7f000001/hook",
    "https://0x7f.0.0.1/hook",
    "https://0177.0.0.1/hook",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/hook",
    "https://8.8.8.8/hook",
    "https://[::1]/hook",
    "https://[::ffff:169.254.169.254]/hook",
    "https://[fd00:ec2::254]/hook",
    "https://[fe80::1%25eth0]/hook",
    "https://[::1/hook",
    "https://user@example.com/hook",
    "https://user:password@example.com/hook",
    "https://example.com@127.0.0.1/hook",
    "https://@example.com/hook",
    "https://example.com/hook#fragment",
    "https://example.com/hook#",
    "https://example.com\\@127.0.0.1/hook",
    "https://example.com\\.evil.com/hook",
    "https:\\\\example.com/hook",
    "https://example.com/a b",
    "https://example.com/a\tb",
    "https://example.com/a\r\nHost: other",
    "https://exam\nple.com/",
    " https://example.com/",
    "https://example.com/\x00",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:-1/",
    "https://example.com:80x/",
    "https://例子.测试/hook",
    "https://example。com/hook",
    "https://①②⑦.⓪.⓪.①/hook",
    "https://example.com./hook",
    "https://.example.com/hook",
    "https://exa_mple.com/hook",
    "https://-example.com/hook",
    "https://exam%70le.com/hook",
    "https://" + "a" * 64 + ".com/hook",
    "https://example.com/" + "a" * 2048,
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_url_that_could_lead_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|is) "):
        parse_webhook_url(url)


def test_a_refusal_does_not_repeat_the_url() -> None:
    with pytest.raises(ValueError, match="must") as refusal:
        parse_webhook_url("http://example.com/hook?key=hunter2")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://example.com", "example.com", 443, "/"),
        ("HTTPS://EXAMPLE.com/Hook", "example.com", 443, "/Hook"),
        ("https://a.b-c.example:8443/x?y=z&u=%20", "a.b-c.example", 8443, "/x?y=z&u=%20"),
        ("https://xn--fsqu00a.xn--0zwm56d/", "xn--fsqu00a.xn--0zwm56d", 443, "/"),
        ("https://example.com?x", "example.com", 443, "/?x"),
    ],
)
def test_an_ordinary_url_is_taken_apart(url: str, host: str, port: int, path: str) -> None:
    assert parse_webhook_url(url) == WebhookUrl("https", host, port, path)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://localhost:8080/hook", "localhost:8080"),
        ("http://127.0.0.1/hook", "127.0.0.1"),
        ("http://[::1]:8080/hook", "[::1]:8080"),
        ("https://localhost/hook", "localhost"),
    ],
)
def test_the_local_stack_may_name_this_machine(url: str, authority: str) -> None:
    assert parse_webhook_url(url, allow_loopback=True).authority == authority


@pytest.mark.parametrize("url", ["http://example.com/", "http://10.0.0.1/", "https://10.0.0.1/"])
def test_the_local_stack_may_name_nothing_else_that_others_may_not(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_webhook_url(url, allow_loopback=True)


def test_the_query_is_not_shown() -> None:
    assert "hunter2" not in repr(parse_webhook_url("https://example.com/hook?key=hunter2"))


PIECES = ["https://", "http://", "example.com", "127.0.0.1", "[::1]", "@", ":", "443", "/", "\\"]
PIECES += [
    "?",
    "#",
    ".",
    "..",
    "%2f",
    "%40",
    "xn--",
    "localhost",
    "evil.test",
    "\t",
    "\n",
    "é",
    "//",
]


@given(lists(sampled_from(PIECES), max_size=10).map("".join) | text())
@example("https://example.com")
def test_whatever_is_taken_leads_to_one_public_name_for_every_reader(url: str) -> None:
    try:
        parts = parse_webhook_url(url)
    except ValueError:
        return
    assert parts.secure
    assert "." in parts.host
    assert not is_public(parts.host), "a name, not an address"
    assert 1 <= parts.port <= 65535
    other = urllib3.util.parse_url(url)
    assert (other.host, other.port or 443) == (parts.host, parts.port)
    assert urllib.parse.urlsplit(url).username is None
    assert parts.path.startswith("/")
