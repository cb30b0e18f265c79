"""The environment of each function as in the template, with placeholders for references."""

from __future__ import annotations

from typing import Any

from benchmarks.samples import APP_ID
from generators.template_file import read_template


def function_names() -> list[str]:
    """As the folders under functions/ are called."""
    return sorted(_functions())


def function_environment(name: str) -> dict[str, str]:
    """Variables that let a handler be imported; no call is made at import.

    Tables are called as their logical ids.
    """
    template = read_template()
    shared = template["Globals"]["Function"]["Environment"]["Variables"]
    variables = {**shared, **_functions()[name]["Environment"]["Variables"]}
    return {
        **{key: _value(value, template["Parameters"]) for key, value in variables.items()},
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
    }


def _functions() -> dict[str, dict[str, Any]]:
    found = (
        resource["Properties"]
        for resource in read_template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    )
    return {properties["CodeUri"].removeprefix("functions/"): properties for properties in found}


def _value(value: Any, parameters: dict[str, Any]) -> str:
    if not isinstance(value, dict):
        return str(value)
    reference = str(value.get("Ref", "thing"))
    if reference == "AppId":
        return APP_ID
    if reference in parameters:
        return str(parameters[reference]["Default"])
    if reference.endswith("Queue"):
        return f"https://sqs.us-east-1.example/000000000000/{reference}.fifo"
    return reference
