"""Generate a JSON Schema per event type, and the AsyncAPI document that names them all.

python -m generators.event_schemas
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import yaml

from generators.event_models import MODELS
from generators.generated_files import write
from wechat_kf.domain.events import EventType
from wechat_kf_cli.stack.state import ROOT

SCHEMAS = ROOT / "docs" / "schemas"
ASYNCAPI_FILE = ROOT / "docs" / "asyncapi.yaml"
CONTENT_TYPE = "application/cloudevents+json"


def schema(event_type: EventType) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the whole CloudEvent of a type."""
    data = _tidy(MODELS[event_type].model_json_schema(mode="serialization"))
    definitions = data.pop("$defs", {})
    members: dict[str, Any] = {
        "specversion": {"const": "1.0"},
        "id": {
            "type": "string",
            "pattern": "^[0-9a-f]{1,64}$",
            "description": "the same for the same occurrence: use it to discard duplicates",
        },
        "type": {"const": str(event_type)},
        "source": {"type": "string", "pattern": "^/apps/[^/]+/merchants/[^/]+$"},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "data": data,
    }
    made: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": MODELS[event_type].__name__,
        "description": data.pop("description"),
        "type": "object",
        "properties": members,
        "required": list(members),
    }
    return made | ({"$defs": definitions} if definitions else {})


def _tidy(node: Any) -> Any:
    """Leave out pydantic's titles, and let what may be left out be left out, but not be null."""
    if isinstance(node, list):
        return [_tidy(one) for one in node]
    if not isinstance(node, dict):
        return node
    if "default" in node and node["default"] is None and "anyOf" in node:
        [kind] = [one for one in node["anyOf"] if one != {"type": "null"}]
        node = {**kind, **{key: node[key] for key in node.keys() - {"anyOf", "default"}}}
    return {
        key: _tidy(value)
        for key, value in node.items()
        if key != "discriminator" and not (key == "title" and isinstance(value, str))
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3 document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {event_type: MODELS[event_type].__name__ for event_type in EventType}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "wechat-kf events",
            "version": project["version"],
            "description": "What subscribers receive: CloudEvents 1.0 in structured JSON, by a "
            "webhook signed as Standard Webhooks specify, an SQS queue, or EventBridge.",
            "license": {"name": project["license"]},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "events": {
                "description": "The target of a subscription, in order per buyer.",
                "messages": {
                    name: {"$ref": f"#/components/messages/{name}"} for name in names.values()
                },
            }
        },
        "operations": {
            "receiveEvents": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "summary": "An event is sent to each subscription that wants its type.",
            }
        },
        "components": {
            "messages": {
                name: {
                    "name": str(event_type),
                    "title": name,
                    "contentType": CONTENT_TYPE,
                    "payload": {
                        "schemaFormat": "application/schema+json;version=draft-2020-12",
                        "schema": {"$ref": f"schemas/{event_type}.json"},
                    },
                }
                for event_type, name in names.items()
            }
        },
    }


def files() -> dict[Path, str]:
    """Return each generated file's content."""
    made = {
        SCHEMAS / f"{event_type}.json": json.dumps(schema(event_type), indent=2, ensure_ascii=False)
        + "\n"
        for event_type in EventType
    }
    document = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=100)
    return made | {ASYNCAPI_FILE: f"# Generated from the code: make docs\n{document}"}


if __name__ == "__main__":
    write(files())
