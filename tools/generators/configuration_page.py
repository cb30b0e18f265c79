"""docs/configuration.md, generated from the template.

python -m generators.configuration_page            write it
python -m generators.configuration_page --check    exit 1 if it is stale
"""

import sys
from typing import Any

from generators.template_file import read_template
from wechat_kf_cli.stack.state import ROOT

PAGE_FILE = ROOT / "docs" / "configuration.md"

INTRODUCTION = """\
# Configuration

Generated from `template.yaml` by `make docs`; do not edit.

For the operator: after this page you know every parameter, secret and output of the stack.

Settings are template parameters: name them in `sam deploy --parameter-overrides`, or under
`parameter_overrides` in `samconfig.toml`. Each becomes an environment variable of the functions
that need it, which they read once when they start; a misconfigured function fails then, and names
every variable that is missing or malformed.
"""

SECRETS = """\
## Secrets

Both are created empty; fill them in (`aws secretsmanager put-secret-value`).

| secret (stack output) | JSON members | read by |
|---|---|---|
| `PushSecretArn` | `token`, `encoding_aes_key` | `push` |
| `AppSecretArn` | `app_id`, `app_secret` | `token` |

While rotating, the push secret also holds `previous_token` and `previous_encoding_aes_key`:
[operations](operations.md).
"""


def page() -> str:
    """Return the text of the page."""
    template = read_template()
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    parts = [INTRODUCTION, "## Parameters\n"]
    for group in groups:
        parts.append(f"### {group['Label']['default']}\n")
        parts.append(_parameter_table(group["Parameters"], template["Parameters"]))
    parts += [SECRETS, "## Outputs\n", _output_table(template["Outputs"])]
    return "\n".join(parts)


def _parameter_table(names: list[str], parameters: dict[str, Any]) -> str:
    rows = ["| parameter | meaning | default | allowed |", "|---|---|---|---|"]
    for name in names:
        parameter = parameters[name]
        default = f"`{parameter['Default']}`" if parameter.get("Default", "") != "" else "–"
        if "Default" not in parameter:
            default = "**required**"
        rows.append(
            f"| `{name}` | {parameter['Description']} | {default} | {_allowed(parameter)} |"
        )
    return "\n".join(rows) + "\n"


def _allowed(parameter: dict[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(f"`{value}`" for value in parameter["AllowedValues"])
    if "MaxValue" in parameter:
        return f"{parameter['MinValue']:,} to {parameter['MaxValue']:,}"
    if "AllowedPattern" in parameter:
        return f"`{parameter['AllowedPattern']}`".replace("|", "\\|")
    return "comma-separated list"


def _output_table(outputs: dict[str, Any]) -> str:
    rows = ["| output | meaning |", "|---|---|"]
    rows += [f"| `{name}` | {output['Description']} |" for name, output in outputs.items()]
    return "\n".join(rows) + "\n"


def main(arguments: list[str]) -> int:
    text = page()
    if "--check" in arguments:
        return int(PAGE_FILE.read_text(encoding="utf-8") != text)
    PAGE_FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
