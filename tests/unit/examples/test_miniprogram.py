"""The Mini Program example holds together, and speaks as the back end does.

Its behaviour is tested in WeChat's simulator for components: `npm test` in its folder.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from wechat_kf.domain.merchants.contact_button import session_from
from wechat_kf_cli.stack.state import ROOT

EXAMPLE = ROOT / "examples" / "miniprogram"
COMPONENT = EXAMPLE / "components" / "merchant-contact" / "merchant-contact"


def wxml(path: Path) -> ElementTree.Element:
    """A WXML file as XML: its attributes without a value get one."""
    text = re.sub(r"\s(show-card)(?=\s)", r' \1=""', path.read_text(encoding="utf-8"))
    text = re.sub(r"\sbind:(\w+)=", r" bind-\1=", text)
    return ElementTree.fromstring(text)  # noqa: S314 - our own file


def test_every_page_and_component_that_is_named_is_there() -> None:
    app = json.loads((EXAMPLE / "app.json").read_text())
    for page in app["pages"]:
        settings = json.loads((EXAMPLE / f"{page}.json").read_text())
        for component in settings["usingComponents"].values():
            root = EXAMPLE / component.lstrip("/")
            assert json.loads(root.with_suffix(".json").read_text()) == {"component": True}
            for kind in (".js", ".wxml", ".wxss"):
                assert root.with_suffix(kind).exists()
        for kind in (".js", ".wxml", ".wxss"):
            assert (EXAMPLE / f"{page}{kind}").exists()


def test_the_button_is_disabled_without_a_merchant_and_handles_the_return() -> None:
    button = wxml(COMPONENT.with_suffix(".wxml"))
    assert button.tag == "button"
    assert button.attrib["open-type"] == "contact"
    assert button.attrib["business-id"] == "{{businessId}}"
    assert button.attrib["disabled"] == "{{!businessId}}"
    assert button.attrib["session-from"] == "{{sessionFrom}}"
    handler = button.attrib["bindcontact"]
    assert f"{handler}(event)" in COMPONENT.with_suffix(".js").read_text(encoding="utf-8")


def test_the_component_writes_session_from_as_the_back_end_reads_it() -> None:
    script = COMPONENT.with_suffix(".js").read_text(encoding="utf-8")
    found = re.search(r"`([^`$]+)\$\{businessId\}`", script)
    assert found
    assert f"{found[1]}42" == session_from("42")


def test_the_page_uses_the_component_and_gives_it_the_merchant() -> None:
    page = wxml(EXAMPLE / "pages" / "shop" / "shop.wxml")
    component = page.find("merchant-contact")
    assert component is not None
    assert component.attrib["business-id"] == "{{businessId}}"
    assert component.attrib["bind-return"] == "onReturn"


@pytest.mark.skipif(
    not (EXAMPLE / "node_modules").exists() or not shutil.which("node"),
    reason="npm install in examples/miniprogram first",
)
def test_its_own_tests_pass_in_wechats_simulator() -> None:
    done = subprocess.run(
        ["node", "--test", "test/"], cwd=EXAMPLE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
