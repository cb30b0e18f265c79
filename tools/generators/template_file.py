"""Read `template.yaml` as data: short forms (`!Ref`) become one-key mappings, anchors are resolved.

python -m generators.template_file    # print it as JSON, for tools that reject merge keys
"""

import json
from typing import Any

import yaml

from wechat_kf_cli.stack.state import ROOT

TEMPLATE_FILE = ROOT / "template.yaml"


class TemplateLoader(yaml.SafeLoader):
    """YAML loader that understands `!Ref`, `!GetAtt`, `!Sub` and the other short forms."""


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
    """Return the whole template; references stay unresolved."""
    text = TEMPLATE_FILE.read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(text, TemplateLoader)  # noqa: S506 - a SafeLoader
    return document


if __name__ == "__main__":
    print(json.dumps(read_template(), indent=1))
