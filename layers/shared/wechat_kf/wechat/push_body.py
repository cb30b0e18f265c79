"""Read the fields of a push from its bytes, XML or JSON, trusting nothing.

Bounds: `MAX_BODY_BYTES` and `MAX_DEPTH`. Whatever does not fit raises `BodyError`.

WeChat fills a template: elements in a row, texts in CDATA, numbers bare. That form has a small
reader of its own, since a secure push pays for parsing twice; everything else goes to `defusedxml`,
which refuses document types and entities. Its events are collected by handlers of our own, because
a tree would be built before its depth could be bounded.
Facts: `docs/wechat-api.md`, sections 7.2 to 7.4 and 15.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from wechat_kf.wechat.crypto import BodyFormat

MAX_BODY_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class BodyError(ValueError):
    """A body that is no push: malformed, or beyond the bounds. Holds nothing of its content."""


def parse_body(body: bytes) -> tuple[BodyFormat, dict[str, Any]]:
    """Return the format, known by the first character (section 7.2), and the fields.

    XML values are texts, nested elements dicts, and an element that is repeated a list.
    JSON values keep their types; integers keep all their digits. Raises BodyError.
    """
    content = body.removeprefix(_BYTE_ORDER_MARK).strip()
    if content.startswith(b"{"):
        return BodyFormat.JSON, _parse_json(content)
    if content.startswith(b"<"):
        return BodyFormat.XML, _parse_xml(content)
    raise BodyError("neither XML nor JSON")


_FLAT_ELEMENT: Final = re.compile(
    # A name; a text in CDATA, up to its end, or a bare number; the same name.
    r"\s*+<([A-Za-z]\w*+)>(?:<!\[CDATA\[([^\]]*+(?:\](?!\]>)[^\]]*+)*+)\]\]>|([0-9]++))</\1>",
    re.ASCII,
)
_ODD_CHARACTERS: Final = bytes({*range(32)} - {*b"\t\n"})
"""Not allowed in XML, or, like the carriage return, not read as they are written."""


def _parse_xml(content: bytes) -> dict[str, Any]:
    fields = _read_template(content)
    return _read_xml(content) if fields is None else fields


def _read_template(content: bytes) -> dict[str, Any] | None:
    """Read WeChat's template: elements in a row, none inside another or repeated.

    Return None for anything else, which `defusedxml` reads or refuses.
    """
    # So begin U+FFFE and U+FFFF, which are not allowed, and a few like ￥, which are.
    if b"\xef\xbf" in content or len(content.translate(None, _ODD_CHARACTERS)) < len(content):
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    if not text.startswith("<xml>"):
        return None
    fields: dict[str, Any] = {}
    count, end = 0, len("<xml>")
    while element := _FLAT_ELEMENT.match(text, end):
        name, in_cdata, number = element.groups()
        fields[name] = number if in_cdata is None else in_cdata
        count, end = count + 1, element.end()
    return fields if text[end:].lstrip() == "</xml>" and len(fields) == count > 0 else None


def _read_xml(content: bytes) -> dict[str, Any]:
    # Imported here: WeChat's own pushes never come this way, and a cold start need not pay for it.
    from defusedxml.ElementTree import DefusedXMLParser, ParseError  # noqa: PLC0415

    if b"\0" in content:
        # Legal nowhere in XML, and by its zeros expat would recognize UTF-16 all the same.
        raise BodyError("not UTF-8")
    tree = _Tree()
    # WeChat writes UTF-8; naming it here overrules whatever the XML declaration says.
    parser = DefusedXMLParser(target=tree, encoding="utf-8", forbid_dtd=True)
    try:
        parser.feed(content)
        fields = parser.close()
    except (ParseError, ValueError):  # ValueErrors: the refusals of defusedxml, and BodyError
        raise BodyError("broken XML") from None
    if not isinstance(fields, dict):
        raise BodyError("no fields inside <xml>")
    return fields


class _Tree:
    """What the parser's events build: dicts and texts. Attributes are ignored: WeChat uses none."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._path: list[dict[str, Any]] = [{}]

    def start(self, _name: str, _attributes: dict[str, str]) -> None:
        if len(self._path) > MAX_DEPTH:
            raise BodyError("too deep")
        self._texts.clear()
        self._path.append({})

    def data(self, text: str) -> None:
        self._texts.append(text)

    def end(self, name: str) -> None:
        # A leaf is its text; text between child elements is only indentation.
        value = self._path.pop() or "".join(self._texts)
        self._texts.clear()
        parent = self._path[-1]
        if name in parent:
            _append(parent, name, value)
        else:
            parent[name] = value

    def close(self) -> object:
        return self._path[0].get("xml")


def _append(parent: dict[str, Any], name: str, value: object) -> None:
    first = parent[name]
    if isinstance(first, list):
        first.append(value)
    else:
        parent[name] = [first, value]


def _parse_json(content: bytes) -> dict[str, Any]:
    try:
        text = content.decode()
        fields, end = _JSON.raw_decode(text)
    except (ValueError, RecursionError):
        # ValueError: bad UTF-8, bad JSON, numbers of thousands of digits, or BodyError itself.
        raise BodyError("broken JSON") from None
    if end != len(text):
        raise BodyError("more than one JSON value")
    # An ordinary push nests nothing and escapes nothing: it is never walked through.
    if b"[" in content or content.rfind(b"{") > 0:
        _check_depth(fields, MAX_DEPTH)
    if b"\\" in content:
        fields = _without_lone_surrogates(fields)
    return fields  # type: ignore[no-any-return]  # the text begins with a brace


def _refuse(*_: object) -> NoReturn:
    raise BodyError("not allowed")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse()


# Not strict: a raw line break inside a customer's text is no reason to lose the message.
_JSON: Final = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, strict=False)


def _check_depth(value: object, allowed: int) -> None:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return
    if not allowed:
        raise BodyError("too deep")
    for inner in value:
        _check_depth(inner, allowed - 1)


def _without_lone_surrogates(value: Any) -> Any:
    r"""Replace halves of emoji (`\ud83d` alone), which no queue or table could encode."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {
            _without_lone_surrogates(name): _without_lone_surrogates(item)
            for name, item in value.items()
        }
    return value
