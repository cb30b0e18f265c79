"""The pages about configuration say what the template says."""

import yaml

from generators.configuration_page import CHINESE_TEXTS_FILE
from generators.template_file import read_template


def test_there_is_one_chinese_text_for_each_parameter_and_output() -> None:
    texts = yaml.safe_load(CHINESE_TEXTS_FILE.read_text(encoding="utf-8"))
    template = read_template()
    assert set(texts["parameters"]) == set(template["Parameters"])
    assert set(texts["outputs"]) == set(template["Outputs"])
