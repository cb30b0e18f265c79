"""What a route needs from its function: named by type, provided through `create_app`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from aws_lambda_powertools.event_handler.depends import Depends

if TYPE_CHECKING:
    from wechat_kf.wechat.client import TypingResult
    from wechat_kf.wechat.diagnostics import Quota
    from wechat_kf.wechat.errors import WeChatApiError
    from wechat_kf.wechat.media import DownloadedMedia


@dataclass(frozen=True, slots=True)
class Provided:
    """Stands for the instance of `kind` that was given to `create_app`."""

    kind: type

    def __call__(self) -> Any:
        raise LookupError(f"create_app was given no {self.kind.__name__}")


def needs(kind: type) -> Depends:
    """Mark a parameter of a route as provided: `Annotated[Acceptance, needs(Acceptance)]`."""
    return Depends(Provided(kind))


class Account(Protocol):
    """The Mini Program's account at WeChat. WeChat's refusals pass through."""

    def download(self, media_id: str) -> DownloadedMedia: ...

    def show_typing(self, business_id: str, openid: str, *, shown: bool) -> TypingResult:
        """Show the buyer that somebody is typing, or stop it."""

    def quotas(self) -> Iterable[tuple[str, str, Quota | WeChatApiError]]:
        """Return each API's name, its path, and its quota or WeChat's refusal."""
