"""What a merchant is before anything was recorded of it."""

from wechat_kf.domain.merchants.merchant import Merchant, UnreadableEntryError


def test_a_new_merchant_was_never_changed() -> None:
    new = Merchant("42", "camellia", "山茶旗舰店")
    assert (new.created_at, new.updated_at, new.version) == (0, 0, 0)


def test_an_entry_that_cannot_be_read_is_wechats_fault_not_the_callers() -> None:
    error = UnreadableEntryError("42")
    assert (error.status, error.code, error.business_id) == (502, "malformed_reply", "42")
    assert "not usable" in error.detail
