"""docs/configuration.md and its Chinese twin, generated from the template.

python -m generators.configuration_page
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from generators.generated_files import write
from generators.template_file import read_template
from wechat_kf_cli.stack.state import ROOT

PAGE_FILE = ROOT / "docs" / "configuration.md"
CHINESE_PAGE_FILE = ROOT / "docs" / "zh-CN" / "configuration.md"
CHINESE_TEXTS_FILE = Path(__file__).with_name("configuration.zh-CN.yaml")


@dataclass(frozen=True, slots=True)
class Words:
    """What the page says around the template's facts, in one language."""

    introduction: str
    parameters: str
    parameter_columns: str
    required: str
    range_: str
    list_: str
    secrets: str
    outputs: str
    output_columns: str


ENGLISH = Words(
    introduction="""\
# Configuration

[中文](zh-CN/configuration.md)

Generated from `template.yaml` by `make docs`; do not edit.

For the operator: after this page you know every parameter, secret and output of the stack.

Settings are template parameters: name them in `sam deploy --parameter-overrides`, or under
`parameter_overrides` in `samconfig.toml`. Each becomes an environment variable of the functions
that need it, which they read once when they start; a misconfigured function fails then, and names
every variable that is missing or malformed.
""",
    parameters="## Parameters\n",
    parameter_columns="| parameter | meaning | default | allowed |",
    required="**required**",
    range_="{least:,} to {most:,}",
    list_="comma-separated list",
    secrets="""\
## Secrets

Both are created empty; fill them in (`aws secretsmanager put-secret-value`).

| secret (stack output) | JSON members | read by |
|---|---|---|
| `PushSecretArn` | `token`, `encoding_aes_key` | `push` |
| `AppSecretArn` | `app_id`, `app_secret` | `token` |

While rotating, the push secret also holds `previous_token` and `previous_encoding_aes_key`:
[operations](operations.md).
""",
    outputs="## Outputs\n",
    output_columns="| output | meaning |",
)

CHINESE = Words(
    introduction="""\
# 配置

[English](../configuration.md)

由 `make docs` 从 `template.yaml` 生成，请勿手工修改。

面向运维人员：读完本页，您会知道堆栈的每个参数、密钥与输出。

设置就是模板参数：写在 `sam deploy --parameter-overrides` 中，或写在 `samconfig.toml` 的
`parameter_overrides` 中。每个参数成为需要它的函数的环境变量，函数在启动时读取一次；
配置有误的函数会在启动时失败，并指出每个缺失或格式不对的变量。
""",
    parameters="## 参数\n",
    parameter_columns="| 参数 | 含义 | 默认值 | 可取的值 |",
    required="**必填**",
    range_="{least:,} 到 {most:,}",
    list_="以逗号分隔的列表",
    secrets="""\
## 密钥

两者创建时都是空的，请填写（`aws secretsmanager put-secret-value`）。

| 密钥（堆栈输出） | JSON 成员 | 由谁读取 |
|---|---|---|
| `PushSecretArn` | `token`、`encoding_aes_key` | `push` |
| `AppSecretArn` | `app_id`、`app_secret` | `token` |

更换密钥期间，推送密钥还包含 `previous_token` 与 `previous_encoding_aes_key`：
[运维](operations.md)。
""",
    outputs="## 输出\n",
    output_columns="| 输出 | 含义 |",
)


def page() -> str:
    """Return the text of the English page."""
    template = read_template()
    texts = {
        "groups": {name: name for name in _groups(template)},
        "parameters": _descriptions(template["Parameters"]),
        "outputs": _descriptions(template["Outputs"]),
    }
    return _page(template, ENGLISH, texts)


def chinese_page() -> str:
    """Return the text of the Chinese page. Raises KeyError when a text is missing."""
    texts = yaml.safe_load(CHINESE_TEXTS_FILE.read_text(encoding="utf-8"))
    return _page(read_template(), CHINESE, texts)


def _groups(template: Mapping[str, Any]) -> dict[str, list[str]]:
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    return {group["Label"]["default"]: group["Parameters"] for group in groups}


def _descriptions(named: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: one["Description"] for name, one in named.items()}


def _page(template: Mapping[str, Any], words: Words, texts: Mapping[str, Mapping[str, str]]) -> str:
    parts = [words.introduction, words.parameters]
    for group, names in _groups(template).items():
        rows = [words.parameter_columns, "|---|---|---|---|"]
        for name in names:
            facts = _facts(template["Parameters"][name], words)
            rows.append(f"| `{name}` | {texts['parameters'][name]} | {facts} |")
        parts += [f"### {texts['groups'][group]}\n", "\n".join(rows) + "\n"]
    rows = [words.output_columns, "|---|---|"]
    rows += [f"| `{name}` | {texts['outputs'][name]} |" for name in template["Outputs"]]
    return "\n".join([*parts, words.secrets, words.outputs, "\n".join(rows) + "\n"])


def _facts(parameter: Mapping[str, Any], words: Words) -> str:
    default = f"`{parameter['Default']}`" if parameter.get("Default", "") != "" else "–"
    if "Default" not in parameter:
        default = words.required
    return f"{default} | {_allowed(parameter, words)}"


def _allowed(parameter: Mapping[str, Any], words: Words) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(f"`{value}`" for value in parameter["AllowedValues"])
    if "MaxValue" in parameter:
        return words.range_.format(least=parameter["MinValue"], most=parameter["MaxValue"])
    if "AllowedPattern" in parameter:
        return f"`{parameter['AllowedPattern']}`".replace("|", "\\|")
    return words.list_


def files() -> dict[Path, str]:
    """Generate the files: path → content."""
    return {PAGE_FILE: page(), CHINESE_PAGE_FILE: chinese_page()}


if __name__ == "__main__":
    write(files())
