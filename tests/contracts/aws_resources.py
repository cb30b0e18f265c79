"""Tables and queues in the emulator, exactly as template.yaml defines them, so none can drift."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cache
from typing import Any

from generators.template_file import read_template

_TABLE_PROPERTIES = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


@cache
def _resources() -> dict[str, Any]:
    resources: dict[str, Any] = read_template()["Resources"]
    return resources


@dataclass(frozen=True, slots=True)
class Resources:
    """Makes new, empty resources; each call another one."""

    dynamodb: Any
    sqs: Any

    def table(self, logical_id: str) -> str:
        """A new table like the template's; its name."""
        properties = _resources()[logical_id]["Properties"]
        name = f"{logical_id}-{uuid.uuid4().hex}"
        given = {key: properties[key] for key in _TABLE_PROPERTIES if key in properties}
        self.dynamodb.create_table(TableName=name, **given)
        return name

    def queue(self, logical_id: str) -> str:
        """A new queue like the template's, without its dead-letter queue; its URL."""
        properties = _resources()[logical_id]["Properties"]
        attributes = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in properties.items()
            if key != "RedrivePolicy"
        }
        name = f"{logical_id}-{uuid.uuid4().hex}.fifo"
        url: str = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def ttl_attribute(self, logical_id: str) -> str:
        """The attribute that ends an item's life, as the template says."""
        specification = _resources()[logical_id]["Properties"]["TimeToLiveSpecification"]
        name: str = specification["AttributeName"]
        return name
