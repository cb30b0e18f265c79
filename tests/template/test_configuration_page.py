"""The pages about configuration say what the template says."""

import yaml

from generators import configuration_page
from generators.configuration_page import CHINESE_TEXTS_FILE
from generators.template_file import read_template


def test_the_page_is_not_stale() -> None:
    written = configuration_page.PAGE_FILE.read_text(encoding="utf-8")
    assert written == configuration_page.page(), "run `make docs`"


def test_the_chinese_page_is_not_stale() -> None:
    written = configuration_page.CHINESE_PAGE_FILE.read_text(encoding="utf-8")
    assert written == configuration_page.chinese_page(), "run `make docs`"


def test_there_is_one_chinese_text_for_each_parameter_and_output() -> None:
    texts = yaml.safe_load(CHINESE_TEXTS_FILE.read_text(encoding="utf-8"))
    template = read_template()
    assert set(texts["parameters"]) == set(template["Parameters"])
    assert set(texts["outputs"]) == set(template["Outputs"])
