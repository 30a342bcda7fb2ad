from __future__ import annotations

import pytest

from tasks.errors import ConfigurationError
from tasks.settings import Settings


def test_an_unknown_variable_is_refused_with_the_nearest_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_CONCURENCY", "2")
    with pytest.raises(ConfigurationError, match=r"SENTIMENT_CONCURENCY: .*SENTIMENT_CONCURRENCY\?"):
        Settings.read()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("PORT", "http", "valid integer"),
        ("REDIS_URL", "localhost:6379", "expected redis://"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("ENGINE", "onnx", "'openvino' or 'torch'"),
        ("SENTIMENT_TASK_EVENTS", "perhaps", "valid boolean"),
        ("SENTIMENT_RESULT_TTL_S", "5", "greater than or equal to 60"),
    ],
)
def test_a_malformed_variable_is_named_with_its_value_and_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"{variable}=('{value}'|.hidden.).*{expected}"):
        Settings.read()


def test_the_word_false_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_TASK_EVENTS", "false")
    assert Settings.read().task_events is False


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:geheim@127.0.0.1/0")
    monkeypatch.setenv("SENTIMENT_ID_SECRET", "geheim")
    assert "geheim" not in repr(Settings.read())


def test_settings_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    settings = Settings.read()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]  # which is the point
