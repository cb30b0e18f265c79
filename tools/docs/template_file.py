"""`template.yaml` as data: CloudFormation's short forms become one-key mappings."""

from typing import Any

import yaml

from tools.stack.state import ROOT

TEMPLATE_FILE = ROOT / "template.yaml"


class TemplateLoader(yaml.SafeLoader):
    """Understands `!Ref`, `!GetAtt`, `!Sub` and the rest of the short forms."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = loader.construct_sequence(node, deep=True)  # type: ignore[arg-type]
    return {"Ref" if suffix == "Ref" else f"Fn::{suffix}": value}


TemplateLoader.add_multi_constructor("!", _short_form)


def read_template() -> dict[str, Any]:
    """The whole template; references are left as they stand."""
    text = TEMPLATE_FILE.read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(text, TemplateLoader)  # noqa: S506 - a SafeLoader
    return document
