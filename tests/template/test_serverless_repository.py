"""The metadata by which the Serverless Application Repository lists the template.

It names no files (LicenseUrl, ReadmeUrl): SAM would look for them beside every built template, and
refuse to deploy one that lies elsewhere. Whoever publishes gives them then.

Limits: https://docs.aws.amazon.com/serverlessrepo/latest/devguide/serverlessrepo-how-to-publish.html
"""

from __future__ import annotations

import re
import tomllib

from tests.template.conftest import Template
from wechat_kf_cli.stack.state import ROOT


def test_the_application_can_be_published(template: Template) -> None:
    metadata = template.document["Metadata"]["AWS::ServerlessRepo::Application"]
    assert re.fullmatch(r"[a-zA-Z0-9-]{1,140}", metadata["Name"])
    assert len(metadata["Description"]) <= 256
    assert 1 <= len(metadata["Author"]) <= 127
    assert len(metadata["Labels"]) <= 10
    assert all(re.fullmatch(r"[a-zA-Z0-9+\-_:/@]{1,127}", label) for label in metadata["Labels"])


def test_its_version_is_the_projects(template: Template) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    metadata = template.document["Metadata"]["AWS::ServerlessRepo::Application"]
    assert metadata["SemanticVersion"] == project["version"]
    assert metadata["SpdxLicenseId"] == project["license"]
