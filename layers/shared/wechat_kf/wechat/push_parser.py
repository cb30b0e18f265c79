"""The body of a push as a mapping: XML or JSON in, plain text, numbers and mappings out.

Everything is bounded (size by the caller, depth here) and nothing is expanded: no DTD, no entities,
no external references. Source: reference/wechat.md sections 7.2 to 7.4 and 15 (items 3 and 14).
"""

import json
import re
import xml.etree.ElementTree as FastElementTree
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree as DefusedElementTree
from defusedxml.common import DefusedXmlException

from wechat_kf.wechat.crypto import BodyFormat

MAX_DEPTH: Final = 16
"""Levels of nesting; WeChat's own pushes have one or two."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class UnreadableBodyError(ValueError):
    """Not a push: neither XML nor JSON of the form WeChat sends. Tells nothing of the content."""


def parse_body(body: bytes) -> tuple[BodyFormat, dict[str, Any]]:
    """Return the format and the fields of a body, by its first character, not its content type.

    XML text stays text; JSON keeps its types, with integers of any size exact.
    Raises UnreadableBodyError.
    """
    trimmed = body.removeprefix(_BYTE_ORDER_MARK).strip()
    if trimmed.startswith(b"{"):
        return BodyFormat.JSON, _parse_json(trimmed)
    if trimmed.startswith(b"<"):
        return BodyFormat.XML, _parse_xml(trimmed)
    raise UnreadableBodyError("neither XML nor JSON")


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    # RecursionError: deeper than the decoder itself goes. ValueError: also ids of 4300+ digits.
    except (ValueError, RecursionError):
        raise UnreadableBodyError("not valid JSON") from None
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:  # else it cannot be that deep
        _check_depth(document, MAX_DEPTH)
    if b"\\u" in body:
        _check_encodable(document)
    fields: dict[str, Any] = document  # the body starts with a brace
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        # Two readers of a body with a repeated field may see two different messages.
        raise ValueError("repeated field")
    return fields


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("not a JSON number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, strict=True
)


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, dict):
        children: Any = value.values()
    elif isinstance(value, list):
        children = value
    else:
        return
    if left == 0:
        raise UnreadableBodyError("nested too deeply")
    for child in children:
        _check_depth(child, left - 1)


def _check_encodable(document: Any) -> None:
    # Escapes can spell half a surrogate pair, which is no text: no queue or table would take it.
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise UnreadableBodyError("not valid Unicode") from None


def _parse_xml(body: bytes) -> dict[str, Any]:
    try:
        root = _xml_root(body.decode("utf-8"))
    except (ParseError, DefusedXmlException, ValueError):
        raise UnreadableBodyError("not valid XML") from None
    if root.tag != "xml" or len(root) == 0:
        raise UnreadableBodyError("not a push")
    return _fields_of(root, MAX_DEPTH)


_DECLARATION: Final = re.compile(r"<!(?!\[CDATA\[)")


def _xml_root(text: str) -> Element:
    """Text, not bytes: the encoding is UTF-8, whatever the document declares.

    Every attack on an XML parser starts with a declaration. Without one the C parser is safe, and
    four times as fast; with one, or a customer's text that looks like one, defusedxml decides.
    """
    if _DECLARATION.search(text) is None:
        return FastElementTree.fromstring(text)  # noqa: S314 - see above
    root: Element = DefusedElementTree.fromstring(text, forbid_dtd=True)
    return root


def _fields_of(element: Element, left: int) -> dict[str, Any]:
    if left == 0:
        raise UnreadableBodyError("nested too deeply")
    fields: dict[str, Any] = {}
    for child in element:
        value: Any = _fields_of(child, left - 1) if len(child) else child.text or ""
        if child.tag not in fields:
            fields[child.tag] = value
        elif left == MAX_DEPTH:
            raise UnreadableBodyError("repeated field")
        else:
            _append(fields, child.tag, value)
    return fields


def _append(fields: dict[str, Any], name: str, value: Any) -> None:
    """Lists below the top level are written as repeated elements."""
    held = fields[name]
    if isinstance(held, list):
        held.append(value)
    else:
        fields[name] = [held, value]


def encrypted_part(fields: Mapping[str, Any]) -> str | None:
    """The `Encrypt` of an envelope without the blanks around it; None when there is none.

    Raises UnreadableBodyError when it is not text.
    """
    encrypt = fields.get("Encrypt")
    if encrypt is None:
        return None
    if not isinstance(encrypt, str):
        raise UnreadableBodyError("Encrypt is not text")
    return encrypt.strip()
