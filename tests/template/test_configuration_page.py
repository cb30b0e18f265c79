"""The page about configuration says what the template says."""

from generators import configuration_page


def test_the_page_is_not_stale() -> None:
    written = configuration_page.PAGE_FILE.read_text(encoding="utf-8")
    assert written == configuration_page.page(), "run `make docs`"
