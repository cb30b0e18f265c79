"""What the bill is said to be follows the template."""

from benchmarks import cost
from tests.template.conftest import Template
from wechat_kf_cli.stack.state import ROOT


def test_what_is_paid_for_each_month_is_counted_from_the_template(template: Template) -> None:
    assert len(template.resources("AWS::CloudWatch::Alarm")) <= cost.ALARM_METRICS
    assert sum("DeadLetter" not in name for name in template.queues) == cost.QUEUES
    assert (cost.SECRETS, cost.DASHBOARDS) == (2, 1)


def test_the_written_tables_are_not_stale() -> None:
    written = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    for section in cost.run():
        assert section.markdown() in written, "run `python -m benchmarks --only cost`"
