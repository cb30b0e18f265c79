"""The access token's row: one per app, read by all workers, written by the refresher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechat_kf.adapters.aws.dynamo import ConditionFailedError, Table, Value
from wechat_kf.domain.access_token import AccessToken, ForcedRefreshes

_OURS = "#lease_owner = :me"


class TokensTable:
    """Implements `TokenStore` (and so `TokenReader`). Key: `app_id`."""

    def __init__(self, client: Any, table_name: str, app_id: str) -> None:
        self._table = Table(client, table_name)
        self._key = {"app_id": app_id}

    def read(self) -> AccessToken | None:
        row = self._table.get(self._key)
        if row is None or "access_token" not in row:
            return None
        return AccessToken(row["access_token"], row["requested_at"], row["expires_at"])

    def take_lease(self, owner: str, *, now: int, until: int) -> ForcedRefreshes | None:
        # Taking our own lease again succeeds: the answer to our own write may have been lost, and
        # botocore wrote again.
        try:
            row = self._table.update(
                self._key,
                "SET #lease_owner = :me, #lease_until = :until",
                {":me": owner, ":until": until, ":now": now},
                condition="attribute_not_exists(#lease_owner) OR #lease_until <= :now"
                " OR #lease_owner = :me",
            )
        except ConditionFailedError:
            return None
        return ForcedRefreshes(
            day=row.get("forced_day", 0),
            count=row.get("forced_count", 0),
            at=row.get("forced_at", 0),
        )

    def record_forced(self, forced: ForcedRefreshes, owner: str) -> bool:
        return self._update_leased(
            "SET #forced_day = :day, #forced_count = :count, #forced_at = :at",
            {":day": forced.day, ":count": forced.count, ":at": forced.at, ":me": owner},
        )

    def write(self, token: AccessToken, owner: str) -> bool:
        written = (token.value, token.requested_at, owner)
        try:
            self._table.update(
                self._key,
                "SET #access_token = :token, #requested_at = :requested, #expires_at = :expires,"
                " #written_by = :me REMOVE #lease_owner, #lease_until",
                {
                    ":token": token.value,
                    ":requested": token.requested_at,
                    ":expires": token.expires_at,
                    ":me": owner,
                },
                condition=f"{_OURS} AND "
                "(attribute_not_exists(#requested_at) OR #requested_at < :requested)",
            )
        except ConditionFailedError as failed:
            # When the answer is lost, boto3 writes again, and the lease is no longer ours.
            row = failed.old or {}
            return written == tuple(map(row.get, ("access_token", "requested_at", "written_by")))
        return True

    def drop_lease(self, owner: str) -> None:
        self._update_leased("REMOVE #lease_owner, #lease_until", {":me": owner})

    def _update_leased(self, change: str, values: Mapping[str, Value]) -> bool:
        try:
            self._table.update(self._key, change, values, condition=_OURS)
        except ConditionFailedError:
            return False
        return True
