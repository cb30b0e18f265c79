"""One tree of errors, one table of codes."""

import pytest

from wechat_kf.wechat import operations
from wechat_kf.wechat.codes import ERRCODES
from wechat_kf.wechat.errors import (
    AccountNameUsedError,
    AddressNotAllowedError,
    InvalidInputError,
    MalformedReplyError,
    Retry,
    SubMerchantNotFoundError,
    TokenRefusedError,
    TransportError,
    WeChatApiError,
    WeChatError,
    api_error,
)

BY_STATUS = {
    200: {45081},
    400: {
        *(40003, 40004, 40005, 40007, 40008, 40097, 40137, 40201, 40202, 40203, 41005, 41006),
        *(44004, 45003, 45004, 45005, 45006, 45008, 45072, 45078, 45079, 45091),
        *(76002, 76003, 76022),
        *range(65400, 65415),
    },
    403: {48001, 48004, 48008, 50002, 61016},
    404: {45071, 46004, 76001, 76004, 76021},
    409: {43004, 43019, 45015, 45047, 45070, 45077, 45080, 48002, 70000},
    413: {40006, 40009, 45001, 45002},
    429: {45009, 45011, 48006},
    500: {
        *(40002, 40013, 40033, 40035, 40038, 40066, 40101, 40125, 40200, 41001, 41002, 41004),
        *(43002, 43003, 44002, 47001),
    },
    502: {4, 40001, 40014, 42001, 45065, 45066, 45067, 45157, 45158},
    503: {-1, 40164, 40243, 50004, 50007, 89503, 89506, 89507},
}
BY_RETRY = {
    Retry.BACKOFF: {-1},
    Retry.AFTER_TOKEN: {40001, 40014, 41001, 42001},
    Retry.NEXT_MINUTE: {45011},
    Retry.NEXT_DAY: {45009},
    Retry.LATER: {4, 89503},
}


def test_every_code_has_the_status_of_the_reference() -> None:
    found: dict[int, set[int]] = {}
    for errcode in ERRCODES:
        status = api_error(errcode, "", operations.SEND).status
        found.setdefault(status, set()).add(errcode)

    assert found == BY_STATUS


def test_every_code_has_the_retry_class_of_the_reference() -> None:
    found: dict[Retry, set[int]] = {}
    for errcode in ERRCODES:
        retry = api_error(errcode, "", operations.SEND).retry
        found.setdefault(retry, set()).add(errcode)
    found.pop(Retry.NEVER)

    assert found == BY_RETRY


def test_names_are_stable_words_and_one_code_each() -> None:
    names = [row.name for row in ERRCODES.values() if not 65400 <= row.errcode <= 65414]

    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").isalpha() and name.islower() for name in names)


@pytest.mark.parametrize(
    ("errcode", "expected"),
    [
        (40001, TokenRefusedError),
        (40014, TokenRefusedError),
        (41001, TokenRefusedError),
        (42001, TokenRefusedError),
        (45070, AccountNameUsedError),
        (45071, SubMerchantNotFoundError),
        (40164, AddressNotAllowedError),
        (45015, WeChatApiError),
        (99999, WeChatApiError),
    ],
)
def test_codes_that_callers_catch_have_a_class(
    errcode: int, expected: type[WeChatApiError]
) -> None:
    assert type(api_error(errcode, "", operations.UPDATE)) is expected


def test_a_refused_credential_is_a_configuration_fault_on_the_token_api() -> None:
    error = api_error(40001, "invalid credential", operations.STABLE_TOKEN)

    assert not isinstance(error, TokenRefusedError)
    assert (error.code, error.status, error.retry) == ("wrong_credential", 500, Retry.NEVER)


@pytest.mark.parametrize(
    ("operation", "retry"),
    [
        (operations.SEND, Retry.NEVER),
        (operations.SEND_AS_SUB_MERCHANT, Retry.NEVER),
        (operations.REGISTER, Retry.NEVER),
        (operations.FORCED_STABLE_TOKEN, Retry.NEVER),
        (operations.GET, Retry.BACKOFF),
        (operations.LIST, Retry.BACKOFF),
        (operations.STABLE_TOKEN, Retry.BACKOFF),
    ],
)
def test_what_is_not_understood_is_repeated_only_where_it_does_no_harm(
    operation: operations.Operation, retry: Retry
) -> None:
    unknown = api_error(99999, "", operation)

    assert (unknown.code, unknown.status, unknown.retry) == ("unknown_wechat_error", 502, retry)
    assert TransportError(operation, sent="perhaps", reason="x").retry is retry
    assert MalformedReplyError(operation, "x", http_status=500).retry is retry


@pytest.mark.parametrize("operation", [operations.SEND, operations.GET])
def test_what_was_never_sent_may_be_repeated(operation: operations.Operation) -> None:
    assert TransportError(operation, sent="never", reason="x").retry is Retry.BACKOFF


@pytest.mark.parametrize(
    ("errmsg", "rid"),
    [
        ("invalid credential rid: 6114dedc-7e90330d-3fb31e22", "6114dedc-7e90330d-3fb31e22"),
        ("rid:6114dedc-7e90330d-3fb31e22", "6114dedc-7e90330d-3fb31e22"),
        ("busy hint: [abc] rid: 1-2-3, more", "1-2-3"),
        ("busy hint: [Xk9va0459e565]", None),
        ("", None),
    ],
)
def test_the_rid_is_taken_from_errmsg(errmsg: str, rid: str | None) -> None:
    assert api_error(45009, errmsg, operations.SEND).rid == rid


def test_the_message_tells_what_an_operator_needs() -> None:
    error = api_error(45015, "out of time rid: 1-2-3", operations.SEND)

    assert str(error) == (
        "send: 45015 window_closed: the customer's reply window is closed (rid 1-2-3)"
    )


def test_what_wechat_wrote_is_not_kept() -> None:
    error = api_error(47001, "data format error: 秘密", operations.SEND)

    assert "秘密" not in str(error) + repr(error) + repr(vars(error))


@pytest.mark.parametrize(
    ("errmsg", "address"),
    [
        ("invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist", "203.0.113.9"),
        ("not in whitelist", None),
    ],
)
def test_a_refused_address_is_named(errmsg: str, address: str | None) -> None:
    error = api_error(40164, errmsg, operations.STABLE_TOKEN)

    assert isinstance(error, AddressNotAllowedError)
    assert error.address == address


def test_every_error_belongs_to_the_tree_and_says_what_to_do() -> None:
    errors: list[WeChatError] = [
        InvalidInputError("field", "must be something"),
        TransportError(operations.GET, sent="never", reason="x"),
        MalformedReplyError(operations.GET, "x", http_status=502),
        api_error(-1, "", operations.GET),
    ]

    for error in errors:
        assert isinstance(error, WeChatError)
        assert error.code.islower()
        assert 400 <= error.status < 600
        assert isinstance(error.retry, Retry)
