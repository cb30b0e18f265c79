"""Rules for the names of a sub-merchant, checked before a call is spent.

WeChat has hidden rules on top (forbidden words among them), so a name that passes here may still
be refused with 45078, 45079 or 45091.
Source: docs/wechat-api.md, section 3.1.
"""

from __future__ import annotations

import hashlib
import re

from wechat_kf.wechat.errors import InvalidInputError

_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9_]{6,30}")
_NICKNAME_RULE = "must be 4 to 30 wide, a Chinese character counting 2, a letter or digit 1"

# Han ideographs: the basic block, extension A, the compatibility block, and the two planes that
# hold all later extensions. Punctuation such as 、 and full-width letters are not among them.
_CHINESE = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LETTER_OR_DIGIT = re.compile("[A-Za-z0-9]")


def validate_account_name(account_name: str) -> str:
    """Return `account_name` if it is 6 to 30 ASCII letters, digits or underscores.

    Case counts, and each value can be used only once.
    Raises `InvalidInputError`.
    """
    if not _ACCOUNT_NAME.fullmatch(account_name):
        wrong = re.search(r"[^A-Za-z0-9_]", account_name)
        found = f"found {_show(wrong[0])}" if wrong else f"found {len(account_name)}"
        raise InvalidInputError(
            "account_name",
            f"must be 6 to 30 ASCII letters, digits or underscores; {found}",
        )
    return account_name


def validate_nickname(nickname: str) -> str:
    """Return `nickname` if it is 4 to 30 wide: a Chinese character counts 2, a–z, 0–9 count 1.

    Anything else (spaces, punctuation, emoji) is outside the documented set.
    Raises `InvalidInputError`, which names the character or the width found.
    """
    width = sum(_width(character) for character in nickname)
    if not 4 <= width <= 30:
        raise InvalidInputError("nickname", f"{_NICKNAME_RULE}; found {width}")
    return nickname


def derive_account_name(external_id: str) -> str:
    """Derive a valid `account_name` from the platform's own id of a merchant.

    The same id gives the same name always, so that a register that is repeated finds its first
    try instead of burning a second name. Ids that differ only in case give different names.
    Raises `InvalidInputError` for an empty id.
    """
    if not external_id:
        raise InvalidInputError("external_id", "must not be empty")
    digest = hashlib.sha256(external_id.encode("utf-8", errors="surrogatepass")).hexdigest()
    return f"m_{digest[:26]}"


def _width(character: str) -> int:
    if _LETTER_OR_DIGIT.fullmatch(character):
        return 1
    if _CHINESE.fullmatch(character):
        return 2
    raise InvalidInputError(
        "nickname",
        f"must consist of Chinese characters, ASCII letters and digits; found {_show(character)}",
    )


def _show(character: str) -> str:
    code_point = f"U+{ord(character):04X}"
    return f"{character!r} ({code_point})" if character.isprintable() else code_point
