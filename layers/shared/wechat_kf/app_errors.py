"""The tree of our own errors: what each is to a caller, to HTTP and to a queue.

WeChat's refusals have their own tree (`wechat_kf.wechat.errors`), with `code` and `status` too, but
with `retry` (when to repeat) where ours say `transient`.
"""

from __future__ import annotations

from typing import ClassVar


class AppError(Exception):
    """An expected failure.

    `code` is stable and public, `status` is the HTTP status, `transient` says whether the same
    attempt may succeed later. The message is shown to callers: no secret, no customer text.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    transient: ClassVar[bool] = False

    def __init__(self, detail: str, **members: str | int | bool) -> None:
        """`members` are added to the problem document as they are (RFC 9457 section 3.2)."""
        super().__init__(detail)
        self.detail = detail
        self.members = members


class InvalidRequestError(AppError):
    """A value breaks a rule; `field` names it as the caller spelled it."""

    code = "invalid_request"
    status = 400

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}", field=field)


class NotFoundError(AppError):
    """What the path names does not exist, or no longer exists."""

    code = "not_found"
    status = 404


class ConflictError(AppError):
    """The request is well formed but contradicts what is stored."""

    code = "conflict"
    status = 409


class IdempotencyKeyReusedError(AppError):
    """The same `Idempotency-Key` came with another body."""

    code = "idempotency_key_reused"
    status = 422


class UnavailableError(AppError):
    """A service this one depends on does not answer; the same request may succeed later."""

    code = "temporarily_unavailable"
    status = 503
    transient = True


class UnexpectedError(AppError):
    """An unexpected error in this service; it has been logged."""

    code = "internal_error"


class RetryLater(Exception):  # noqa: N818 - it names an outcome, not an error
    """The queue should hand this message, and those behind it, out again after `delay_ms`."""

    def __init__(self, delay: int) -> None:
        super().__init__(f"again in {delay} ms")
        self.delay_ms = delay
