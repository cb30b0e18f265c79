"""The environment of each function as the template gives it, with stand-ins for references."""

from __future__ import annotations

from typing import Any

from tests.template.conftest import Template


def _template() -> Template:
    return Template()


def function_names() -> list[str]:
    """As the folders under functions/ are called."""
    folders = (body["CodeUri"] for body in _template().functions.values())
    return sorted(folder.removeprefix("functions/") for folder in folders)


def function_environment(name: str) -> dict[str, str]:
    """Variables that let a handler be imported; no call is made at import."""
    template = _template()
    (body,) = [f for f in template.functions.values() if f["CodeUri"] == f"functions/{name}"]
    shared = template.document["Globals"]["Function"]["Environment"]["Variables"]
    parameters = template.document["Parameters"]
    variables = {**shared, **body["Environment"]["Variables"]}
    return {
        **{key: _value(value, parameters) for key, value in variables.items()},
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
    }


def _value(value: Any, parameters: dict[str, Any]) -> str:
    if not isinstance(value, dict):
        return str(value)
    reference = value.get("Ref", "")
    if reference == "AppId":
        return "wx0123456789abcdef"
    if reference in parameters:
        return str(parameters[reference]["Default"])
    return f"https://sqs.us-east-1.example/000000000000/{reference or 'thing'}.fifo"
