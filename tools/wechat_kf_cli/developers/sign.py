"""The command `sign`: a curl of an API call, signed with SigV4."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from wechat_kf_cli.options import Profile, Region, StackName
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.target import StackOptions, find_target


def sign(  # noqa: PLR0913, PLR0917 - the options of the command
    method: Annotated[str, typer.Argument(help="GET, POST, PATCH or DELETE.", show_default=False)],
    path: Annotated[
        str, typer.Argument(help="Path with its query, as /merchants?limit=5.", show_default=False)
    ],
    data: Annotated[
        str | None, typer.Option(help="JSON body, or @FILE to read it from a file.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(help='Further header, as "Idempotency-Key: 1". Repeatable.')
    ] = None,
    stack_name: StackName = None,
    region: Region = None,
    profile: Profile = None,
) -> int:
    """Print a signed curl of an API call. It is valid for five minutes.

    Whoever has the line can make this one call: it holds a signature, no key.
    """
    if not path.startswith("/"):
        raise typer.BadParameter("must begin with /", param_hint="PATH")
    headers = dict(_parse_header(one) for one in header or ())
    body = _read_body(data)
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    api = find_target(StackOptions(stack_name, region, profile)).api()
    signed = api.sign(method.upper(), path, body=body, headers=headers)
    words = ["curl", "--include", "--request", str(signed.method), str(signed.url)]
    for name, value in signed.headers.items():  # all are texts, though they might be bytes
        if name.lower() != "content-length":  # curl adds it
            words += ["--header", f"{name}: {value!s}"]
    if body is not None:
        words += ["--data-binary", body.decode()]
    print(shlex.join(words))
    return 0


def _parse_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise typer.BadParameter("must be like “Name: value”", param_hint="--header")
    return name.strip(), value.strip()


def _read_body(data: str | None) -> bytes | None:
    if data is None or not data.startswith("@"):
        return None if data is None else data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise StackError(f"{data[1:]}: {error.strerror}") from error
