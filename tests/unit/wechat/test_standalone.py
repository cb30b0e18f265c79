"""The client stands alone: its folder can be lifted out, typed, without the rest of the layer."""

import shutil
import subprocess
import sys
from pathlib import Path

import wechat_kf
from wechat_kf.domain import events
from wechat_kf.wechat import MAIN_ACCOUNT

LAYER = Path(wechat_kf.__file__).parent

IMPORT_EVERYTHING = """
import importlib, pathlib, sys
sys.path.insert(0, sys.argv[1])
import wechat_kf.wechat as package
for path in sorted(pathlib.Path(package.__file__).parent.glob("*.py")):
    importlib.import_module("wechat_kf.wechat." + path.stem)
alien = {"boto3", "botocore", "aws_lambda_powertools", "pydantic"} & set(sys.modules)
assert not alien, alien
assert not [name for name in sys.modules if name.startswith("wechat_kf.d")]
"""


def test_the_client_is_imported_without_the_rest_of_the_layer(tmp_path: Path) -> None:
    shutil.copytree(LAYER / "wechat", tmp_path / "wechat_kf" / "wechat")
    alone = [sys.executable, "-c", IMPORT_EVERYTHING, str(tmp_path)]

    subprocess.run(alone, check=True, cwd=tmp_path, env={})


def test_the_layer_and_the_client_say_that_they_are_typed() -> None:
    assert (LAYER / "py.typed").exists()
    assert (LAYER / "wechat" / "py.typed").exists()


def test_the_client_and_the_rules_mean_the_same_account_by_its_id() -> None:
    assert MAIN_ACCOUNT == events.MAIN_ACCOUNT
