"""The template, with the questions the tests ask of it."""

from typing import Any

import pytest

from generators.template_file import TEMPLATE_FILE, read_template


class Template:
    """`template.yaml`, with the questions the tests ask of it."""

    def __init__(self) -> None:
        self.text = TEMPLATE_FILE.read_text(encoding="utf-8")
        self.document = read_template()

    def resources(self, type_name: str) -> dict[str, dict[str, Any]]:
        """Logical id → properties of all resources of a type."""
        found = self.document["Resources"].items()
        return {
            name: body.get("Properties", {}) for name, body in found if body["Type"] == type_name
        }

    def alarms_of_row(self, name: str) -> dict[str, dict[str, Any]]:
        """The alarms that a row of the handbook is about: one, or with `…` all that end so."""
        end = f"{name.removeprefix('…')}Alarm"
        return {
            alarm: facts
            for alarm, facts in self.resources("AWS::CloudWatch::Alarm").items()
            if alarm == end or (name.startswith("…") and alarm.endswith(end))
        }

    @property
    def functions(self) -> dict[str, dict[str, Any]]:
        return self.resources("AWS::Serverless::Function")

    @property
    def queues(self) -> dict[str, dict[str, Any]]:
        return self.resources("AWS::SQS::Queue")

    def statements(self, role: str) -> list[dict[str, Any]]:
        """All statements of a role, those under a condition included."""
        policies = self.resources("AWS::IAM::Role")[role]["Policies"]
        listed = [s for policy in policies for s in policy["PolicyDocument"]["Statement"]]
        return [s["Fn::If"][1] if "Fn::If" in s else s for s in listed]

    def consumers(self) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """(queue's logical id, consuming function, its event source) of every queue consumer."""
        return [
            (
                event["Properties"]["Queue"]["Fn::GetAtt"].split(".")[0],
                function,
                event["Properties"],
            )
            for function in self.functions.values()
            for event in function.get("Events", {}).values()
            if event["Type"] == "SQS"
        ]


@pytest.fixture(scope="session")
def template() -> Template:
    return Template()
