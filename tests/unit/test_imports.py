"""Imports point inward: each room may import only what is named here."""

import ast
import sys
from pathlib import Path

import pytest

LAYER = Path(__file__).parents[2] / "layers" / "shared" / "wechat_kf"

OWN = {
    "domain": {"domain", "app_errors"},
    "wechat": {"wechat"},
    "adapters/aws": {"adapters.aws", "domain", "app_errors", "observability"},
    "adapters/wechat": {"adapters.wechat", "domain", "wechat", "app_errors", "observability"},
    "adapters/webhooks": {"adapters.webhooks", "domain", "app_errors"},
    "api": {"api", "domain", "wechat", "app_errors", "observability"},
}
FOREIGN = {
    "domain": set(),
    "wechat": {"requests", "urllib3", "cryptography", "defusedxml"},
    "adapters/aws": {"boto3", "botocore"},
    "adapters/wechat": set(),
    "adapters/webhooks": {"certifi"},
    "api": {"aws_lambda_powertools", "pydantic", "pydantic_core"},
}


def imported(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file; but no stubs that only mypy reads."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in [
        one for statement in tree.body if not stubs(statement) for one in ast.walk(statement)
    ]:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def stubs(statement: ast.stmt) -> bool:
    """Is it `if TYPE_CHECKING:` with stubs in it, and nothing else?"""
    return (
        isinstance(statement, ast.If)
        and ast.unparse(statement.test) == "TYPE_CHECKING"
        and all(ast.unparse(one).startswith("from mypy_boto3") for one in statement.body)
    )


@pytest.mark.parametrize("room", sorted(OWN))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = sorted((LAYER / room).rglob("*.py"))
    assert files
    for path in files:
        for module in imported(path):
            top, _, rest = module.partition(".")
            if top == "wechat_kf":
                assert any(f"{rest}.".startswith(f"{own}.") for own in OWN[room]), (
                    f"{path.name} imports {module}"
                )
            elif top not in sys.stdlib_module_names:
                assert top in FOREIGN[room], f"{path.name} imports {module}"


def test_no_handler_talks_to_a_table_or_to_wechat_itself() -> None:
    functions = LAYER.parents[2] / "functions"
    for path in functions.rglob("*.py"):
        tops = {module.split(".")[0] for module in imported(path)}
        assert not tops & {"boto3", "botocore", "requests"}, path


def test_no_tool_imports_the_local_stack() -> None:
    tools = LAYER.parents[2] / "tools"
    for path in tools.rglob("*.py"):
        assert "wechat_kf_local" not in {module.split(".")[0] for module in imported(path)}, path
