"""Options that every command which works on a stack takes."""

from __future__ import annotations

from typing import Annotated

import typer

StackName = Annotated[
    str | None,
    typer.Option(help="Name of the CloudFormation stack.", show_default="the local stack"),
]
Region = Annotated[
    str | None, typer.Option(help="Region of the stack.", show_default="the profile's")
]
Profile = Annotated[
    str | None, typer.Option(help="AWS profile to use.", show_default="the default one")
]
Merchant = Annotated[str, typer.Option(help="Business id of the merchant; 0 is the main account.")]
