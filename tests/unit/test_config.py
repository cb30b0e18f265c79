"""Settings are read once, and a bad deployment names everything that is wrong with it."""

import pytest

from wechat_kf.config import ConfigurationError, load_settings


class SampleSettings:
    app_id: str
    retention_days: int
    verbose: bool = False
    hosts: tuple[str, ...] = ("a",)


def test_reads_every_known_type() -> None:
    settings = load_settings(
        SampleSettings,
        {"APP_ID": "wx1", "RETENTION_DAYS": "30", "VERBOSE": "true", "HOSTS": "a, b,,c"},
    )
    assert settings.app_id == "wx1"
    assert settings.retention_days == 30
    assert settings.verbose is True
    assert settings.hosts == ("a", "b", "c")


def test_defaults_apply_where_a_variable_is_absent() -> None:
    settings = load_settings(SampleSettings, {"APP_ID": "wx1", "RETENTION_DAYS": "0"})
    assert (settings.verbose, settings.hosts) == (False, ("a",))


def test_names_every_fault_at_once_and_never_a_value() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(SampleSettings, {"RETENTION_DAYS": "hunter2", "VERBOSE": "perhaps"})
    text = str(raised.value)
    assert "APP_ID is missing" in text
    assert "RETENTION_DAYS is not a valid int" in text
    assert "VERBOSE is not a valid bool" in text
    assert "hunter2" not in text
    assert "perhaps" not in text
