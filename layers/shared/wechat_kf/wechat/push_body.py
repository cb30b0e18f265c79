"""Read the fields of a push from its bytes, XML or JSON, trusting nothing.

Strict about identity, lenient about text: WeChat fills a template and escapes nothing, so a buyer's
text may hold any bytes, marks and tags. It arrives as it was typed, with U+FFFD for what is no
character; and no text becomes a field, or moves one.

Bounds: `MAX_BODY_BYTES` and `MAX_DEPTH`. Whatever does not fit raises `BodyError`.

The template is elements in a row, texts in CDATA, numbers bare. It has readers of its own, since a
secure push pays for reading twice, and since it is no XML once a buyer has typed `]]>`. Everything
else goes to `defusedxml`, which refuses document types and entities. Its events are collected by
handlers of our own, because a tree would be built before its depth could be bounded.
Facts: docs/wechat-api.md, sections 7.2 to 7.5 and 15.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from wechat_kf.wechat.crypto import BodyFormat

MAX_BODY_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
IDENTITY: Final = frozenset(
    {
        *("ToUserName", "FromUserName", "CreateTime", "MsgType", "Event"),
        *("MsgId", "MsgID", "BusinessId", "Encrypt"),
    }
)
"""The fields that say who wrote, to whom, and which message it is."""

_ENCRYPT: Final = frozenset({"Encrypt"})
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_BLANKS: Final = " \t\r\n"
_SPLIT_MARK: Final = "]]]]><![CDATA[>"


class BodyError(ValueError):
    """A body that is no push: malformed, or beyond the bounds. Holds nothing of its content."""


def parse_body(body: bytes) -> tuple[BodyFormat, dict[str, Any]]:
    """Return the format, known by the first character (section 7.2), and the fields.

    XML values are texts, nested elements dicts, and an element that is repeated a list.
    JSON values keep their types; integers keep all their digits. Raises `BodyError`.
    """
    content = body.removeprefix(_BYTE_ORDER_MARK).strip()
    if content.startswith(b"{"):
        return BodyFormat.JSON, _parse_json(content)
    if content.startswith(b"<"):
        return BodyFormat.XML, _parse_xml(_decode(content))
    raise BodyError("neither XML nor JSON")


def read_encrypt(body: bytes) -> object:
    """Return the `Encrypt` of an envelope, None when there is none. Raises `BodyError`.

    The signature is not checked yet: no stranger's body is read more than once, and of the fields
    beside it in compatible mode, whose texts are not escaped, nothing is.
    """
    content = body.removeprefix(_BYTE_ORDER_MARK).strip()
    if not content.startswith(b"<"):
        return parse_body(body)[1].get("Encrypt")
    text = _decode(content)
    if text.startswith("<xml>") and text.endswith("</xml>"):
        found: dict[str, Any] = {}
        start, end = _find_texts(text)
        _add_elements(found, text, len("<xml>"), start, _ENCRYPT)
        _add_elements(found, text, end, len(text), _ENCRYPT)
        if found or _read_template(text) or _read_odd_template(text):
            return found.get("Encrypt")
    return _read_strictly(text).get("Encrypt")


_ODD_BYTES: Final = bytes({*range(32)} - {*b"\t\n\r"})
_ODD_CHARACTERS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def _decode(content: bytes) -> str:
    """Return the text, with U+FFFD for bytes that are no UTF-8 and for what XML cannot hold."""
    text = content.decode(errors="replace")
    # So begin U+FFFE and U+FFFF, which are odd, and a few like ￥, which are not.
    if b"\xef\xbf" in content or len(content.translate(None, _ODD_BYTES)) < len(content):
        return _ODD_CHARACTERS.sub("\ufffd", text)
    return text


# One element of the template: a text in CDATA, up to the first mark that can end it, or a bare one.
# All quantifiers are possessive: the time is linear, whatever the body.
_BARE: Final = r"<([A-Za-z]\w*+)>[^<&\]\r]*+</\%d>"
_ELEMENT: Final = re.compile(
    r"\s*+<([A-Za-z]\w*+)>"
    r"(?:<!\[CDATA\[([^\]]*+(?:\](?!\]>)[^\]]*+)*+)\]\]>|([^<&\]\r]*+))</\1>",
    re.ASCII,
)
_SURE_ELEMENT: Final = re.compile(
    rf"{_BARE % 1}|<({'|'.join(sorted(IDENTITY))})><!\[CDATA\[[^\[\]<>]*+\]\]></\2>", re.ASCII
)
_TEXT_START: Final = re.compile(r"<([A-Za-z]\w*+)><!\[CDATA\[", re.ASCII)
_TEXT_END: Final = re.compile(r"\]\]></([A-Za-z]\w*+)>", re.ASCII)
# The end of a text, bare elements if any, and the start of another text.
_MARK: Final = re.compile(
    rf"{_TEXT_END.pattern}((?:\s*+{_BARE % 3})*+)\s*+{_TEXT_START.pattern}", re.ASCII
)
_NAMES: Final = re.compile(rf"<(?:{'|'.join(sorted(IDENTITY))})>")


def _parse_xml(text: str) -> dict[str, Any]:
    if text.startswith("<xml>") and text.endswith("</xml>"):
        fields = _read_template(text) or _read_odd_template(text)
        if fields:
            return fields
    return _read_xml(text)


def _read_template(text: str) -> dict[str, Any] | None:
    """Read a template whose texts hold no mark that ends a text; return None for anything else.

    That no name is repeated proves that no text was cut at a mark of its own: the rest of such a
    text would have to end as an element of the same name.
    """
    fields: dict[str, Any] = {}
    count, end = 0, len("<xml>")
    while element := _ELEMENT.match(text, end):
        name, in_cdata, bare = element.groups()
        fields[name] = bare if in_cdata is None else in_cdata
        count, end = count + 1, element.end()
    return fields if text[end:].lstrip() == "</xml>" and len(fields) == count else None


def _read_odd_template(text: str) -> dict[str, Any] | None:
    """Read a template whose texts hold marks and tags of their own; return None for anything else.

    What stands before the first text and after the last one is WeChat's. In between, a text goes to
    the last mark that can end it, which is one after which the rest can still be read.
    """
    start, end = _find_texts(text)
    first, last = _TEXT_START.match(text, start), None
    if first is not None and (at := text.rfind("]]></", first.end(), end)) >= 0:
        last = _TEXT_END.fullmatch(text, at, end)
    if first is None or last is None or {first[1], last[1]} & IDENTITY:
        return None
    marks = [mark for mark in _MARK.finditer(text, first.end(), end) if mark[4] not in IDENTITY]
    chain = None
    if re.search("<(?:MsgI[dD]|Event)>", text[:start] + text[end:]):
        # All of WeChat's identity is there: such names between the texts are a buyer's.
        plain = [mark for mark in marks if not _NAMES.search(mark[2])]
        chain = _find_chain(first[1], last[1], plain)
    if chain is None:
        chain = _find_chain(first[1], last[1], marks)
    if chain is None:
        return None
    fields: dict[str, Any] = {}
    _add_elements(fields, text, len("<xml>"), start)
    name, begin = first[1], first.end()
    for mark in chain:
        _add(fields, name, _join(text[begin : mark.start()]))
        _add_elements(fields, text, *mark.span(2))
        name, begin = mark[4], mark.end()
    _add(fields, name, _join(text[begin : last.start()]))
    _add_elements(fields, text, end, len(text))
    return fields


def _join(text: str) -> str:
    """Undo the one escape that CDATA has, in case whoever wrote this knows XML."""
    return text.replace(_SPLIT_MARK, "]]>")


def _split(text: str) -> str:
    return text.replace("]]>", _SPLIT_MARK)


def _find_texts(text: str) -> tuple[int, int]:
    """Return where the first text begins and the last one ends.

    Around them are bare elements and fields of identity, whose values cannot be a buyer's.
    """
    start, end = len("<xml>"), len(text) - len("</xml>")
    while element := _SURE_ELEMENT.match(text, start := _skip_blanks(text, start), end):
        start = element.end()
    while start < end:
        while text[end - 1] in _BLANKS:
            end -= 1
        closing = text.rfind("</", start, end)
        opening = text.rfind(f"<{text[closing + 2 : end]}", start, closing)
        if opening < 0 or not _SURE_ELEMENT.fullmatch(text, opening, end):
            break
        end = opening
    return start, end


def _skip_blanks(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at


def _find_chain(name: str, last: str, marks: list[re.Match[str]]) -> list[re.Match[str]] | None:
    """Return the marks that end each text from the one called `name` to the one before `last`."""
    furthest: dict[str, re.Match[str]] = {}
    for mark in reversed(marks):
        if mark[4] == last or mark[4] in furthest:
            furthest.setdefault(mark[1], mark)
    chain: list[re.Match[str]] = []
    while name != last:
        if name not in furthest:
            return None
        chain.append(furthest[name])
        name = chain[-1][4]
    return chain


def _add_elements(
    fields: dict[str, Any], text: str, start: int, end: int, only: frozenset[str] | None = None
) -> None:
    while element := _ELEMENT.match(text, start, end):
        name, in_cdata, bare = element.groups()
        if only is None or name in only:
            _add(fields, name, bare if in_cdata is None else in_cdata)
        start = element.end()


def _read_xml(text: str) -> dict[str, Any]:
    """Read any other form: as XML, or as XML that would be well-formed had its texts been escaped.

    A name that comes twice may be the rest of a text that was cut. Then fields of identity are
    believed only around the texts, where they are WeChat's.
    """
    for candidate in _escape_texts(text):
        try:
            fields = _read_strictly(candidate)
        except BodyError:
            continue
        is_template = text.startswith("<xml>") and text.endswith("</xml>")
        if is_template and any(isinstance(value, list) for value in fields.values()):
            fields = {name: value for name, value in fields.items() if name not in IDENTITY}
            start, end = _find_texts(text)
            _add_elements(fields, text, len("<xml>"), start, IDENTITY)
            _add_elements(fields, text, end, len(text), IDENTITY)
        return fields
    raise BodyError("broken XML")


def _escape_texts(text: str) -> Iterator[str]:
    """Yield the text as it is, then with each CDATA escaped up to its first, then its last mark."""
    yield text
    last = {mark[1]: mark.start() for mark in _TEXT_END.finditer(text)}
    for to_last in (False, True) if last else ():
        pieces, done = [], 0
        while start := _TEXT_START.search(text, done):
            mark = f"]]></{start[1]}>"
            end = text.find(mark, start.end())
            if to_last and start[1] not in IDENTITY:
                end = last.get(start[1], end)
            if end < start.end():
                break
            pieces += [text[done : start.end()], _split(_join(text[start.end() : end]))]
            done = end
        yield "".join(pieces) + text[done:]


def _read_strictly(text: str) -> dict[str, Any]:
    # Imported here: WeChat's own pushes never come this way, and a cold start need not pay for it.
    from defusedxml.ElementTree import DefusedXMLParser, ParseError  # noqa: PLC0415

    tree = _Tree()
    # The text is decoded already; naming UTF-8 overrules whatever the XML declaration says.
    parser = DefusedXMLParser(target=tree, encoding="utf-8", forbid_dtd=True)
    try:
        parser.feed(text)
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
        _add(self._path[-1], name, value)

    def close(self) -> object:
        return self._path[0].get("xml")


def _add(parent: dict[str, Any], name: str, value: object) -> None:
    """Add a field; a name that is repeated gets a list."""
    if name not in parent:
        parent[name] = value
    elif isinstance(first := parent[name], list):
        first.append(value)
    else:
        parent[name] = [first, value]


def _parse_json(content: bytes) -> dict[str, Any]:
    text = _decode(content)
    try:
        fields, end = _JSON.raw_decode(text)
        # An ordinary push has each name once and no colon after a quotation mark in its texts.
        if content.count(b'":') != len(fields):
            _STRICT_JSON.raw_decode(text)
    except (ValueError, RecursionError):
        # ValueError: bad JSON, numbers of thousands of digits, or BodyError itself.
        raise BodyError("broken JSON") from None
    if end != len(text):
        raise BodyError("more than one JSON value")
    # An ordinary push nests nothing and escapes nothing: it is never walked through.
    if b"[" in content or content.rfind(b"{") > 0:
        _check_depth(fields, MAX_DEPTH)
    if b"\\" in content:
        fields = _replace_odd(fields)
    return fields  # type: ignore[no-any-return]  # the text begins with a brace


def _refuse(*_: object) -> NoReturn:
    raise BodyError("not allowed")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse()


def _refuse_repeats(members: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in members if name in IDENTITY]
    return dict(members) if len(set(names)) == len(names) else _refuse()


# Not strict: a raw line break inside a customer's text is no reason to lose the message.
_JSON: Final = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, strict=False)
_STRICT_JSON: Final = json.JSONDecoder(object_pairs_hook=_refuse_repeats, strict=False)


def _check_depth(value: object, allowed: int) -> None:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return
    if not allowed:
        raise BodyError("too deep")
    for inner in value:
        _check_depth(inner, allowed - 1)


def _replace_odd(value: Any) -> Any:
    r"""Replace what only an escape can write: controls, halves of emoji (`\ud83d` alone)."""
    if isinstance(value, str):
        whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return _ODD_CHARACTERS.sub("\ufffd", whole)
    if isinstance(value, list):
        return [_replace_odd(item) for item in value]
    if isinstance(value, dict):
        return {_replace_odd(name): _replace_odd(item) for name, item in value.items()}
    return value
