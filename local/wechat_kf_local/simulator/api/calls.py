"""One call of the API, and reading its fields the way WeChat does."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wechat_kf_local.simulator.rules.refusals import Refused

# A \uXXXX whose backslash is not itself escaped.
_UNICODE_ESCAPE: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u[0-9a-fA-F]{4}")
_ID: Final = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Upload:
    """The multipart part `media`; `named` says whether it came with a plain file name."""

    content: bytes = field(repr=False)
    named: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to the API. `base_url` is where the caller reached the simulator."""

    method: str
    path: str
    query: Mapping[str, str] = field(repr=False)
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    client_ip: str
    base_url: str
    upload: Upload | None = None
    document: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "document", _parsed(self.body) if not self.upload else None)

    @property
    def openid(self) -> str | None:
        """Whom the call is about, as far as it can be seen without checking it."""
        return self._hint("touser")

    @property
    def business_id(self) -> str | None:
        return self._hint("businessid") or self._hint("business_id")

    def check_body(self, *, reject_escapes: bool) -> None:
        """Raises Refused unless the body is a JSON object in raw UTF-8."""
        if not self.body:
            raise Refused(44002)
        if not isinstance(self.document, dict):
            raise Refused(47001)
        if reject_escapes and _UNICODE_ESCAPE.search(self.body):
            raise Refused(40033)

    def text(self, name: str) -> str:
        """A text field, empty when it is absent. Raises Refused for another type."""
        return text_of(self.document, name)

    def _hint(self, name: str) -> str | None:
        if not isinstance(self.document, dict):
            return None
        value = self.document.get(name)
        return None if value is None else str(value)


def text_of(document: Mapping[str, Any], name: str) -> str:
    """A text field, empty when it is absent. Raises Refused for another type."""
    value = document.get(name, "")
    if not isinstance(value, str):
        raise Refused(47001)
    return value


def business_id_of(value: Any) -> int:
    """An id as a number or as digits, which are both in use. Raises Refused."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _ID.fullmatch(value):
        return int(value)
    raise Refused(45071)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
