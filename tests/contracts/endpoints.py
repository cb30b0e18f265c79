"""Another AWS than the embedded emulator for the contract tests, as the environment names it.

`CONTRACTS_ENDPOINT_URL` is the endpoint of every service; `CONTRACTS_ENDPOINT_URL_SQS` and its like
are those of one. `CONTRACTS_FAULTS` names the list of that emulator's own faults (known_faults.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3

from wechat_kf_cli.stack.state import StateDirectory
from wechat_kf_local.emulator import REGION, Emulator
from wechat_kf_local.processes import Service

PREFIX = "CONTRACTS_ENDPOINT_URL"


@dataclass(frozen=True, slots=True)
class NamedEndpoints(Emulator):
    """An emulator that somebody else started. Each service may have an endpoint of its own."""

    endpoint_urls: Mapping[str, str] = field(default_factory=dict)
    """By service; that of all others under the empty name."""

    @property
    def url(self) -> str:
        return self.endpoint_urls[""]

    def client(self, service: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint_urls.get(service, self.url),
            region_name=REGION,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
        )

    def client_environment(self) -> dict[str, str]:
        own = {
            f"AWS_ENDPOINT_URL_{service.upper()}": url
            for service, url in self.endpoint_urls.items()
            if service
        }
        return {**Emulator.client_environment(self), **own}


def endpoints_of(environment: Mapping[str, str], state: StateDirectory) -> NamedEndpoints | None:
    """The emulator that the environment names, or None when it names none."""
    if PREFIX not in environment:
        return None
    return NamedEndpoints(
        service=Service(state, "elsewhere"),
        port=urlsplit(environment[PREFIX]).port or 0,
        access_key_id="AKIATESTINGTESTING00",
        secret_access_key="testing",
        endpoint_urls={
            name.removeprefix(PREFIX).removeprefix("_").lower(): url
            for name, url in environment.items()
            if name.startswith(PREFIX)
        },
    )


def faults_named(environment: Mapping[str, str] = os.environ) -> str | None:
    """Which list of known faults applies."""
    return environment.get("CONTRACTS_FAULTS")
