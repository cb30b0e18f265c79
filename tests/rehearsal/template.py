"""The template as CloudFormation gets it: SAM's transformation without an account."""

from __future__ import annotations

from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from generators.template_file import read_template


def transform(parameters: dict[str, str], region: str, code_uri: str) -> dict[str, Any]:
    """What the transform `AWS::Serverless-2016-10-31` makes of the template.

    `code_uri` (`s3://bucket/key`) stands for what `sam deploy` uploads.
    """
    document = _with_long_forms(read_template())
    for resource in document["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = code_uri
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region))
    transformed: dict[str, Any] = translator.translate(document, parameters)
    return transformed


def _with_long_forms(node: Any) -> Any:
    """The same with `Fn::GetAtt` as JSON has it: a list of name and attribute."""
    if isinstance(node, list):
        return [_with_long_forms(one) for one in node]
    if not isinstance(node, dict):
        return node
    match node:
        case {"Fn::GetAtt": str(path)}:
            return {"Fn::GetAtt": path.split(".", 1)}
        case _:
            return {key: _with_long_forms(one) for key, one in node.items()}
