"""docs/configuration.md, .env.example and the compose files match the output of `make configuration`."""

from __future__ import annotations

import pytest
from pydantic import Field

from deploy.configuration import ROOT, generated
from tasks.settings import GROUPS, PerService, Settings

PAGE, COMPOSE, ENV = ROOT / "docs" / "configuration.md", ROOT / "docker-compose.yml", ROOT / ".env.example"
MODELS = ROOT / "deploy" / "compose" / "models.yml"
FILES = [PAGE, COMPOSE, MODELS, ENV]


class OneMore(Settings):
    max_pages: int = Field(7, description="Pages.")


class OneMorePerService(Settings):
    max_pages: PerService[int] = Field(7, description="Pages.")


def test_every_file_is_current() -> None:
    texts = generated()
    assert set(texts) == set(FILES)
    for path, text in texts.items():
        assert path.read_text("utf-8") == text, f"{path.name}: run `make configuration`"


def test_a_new_setting_makes_every_file_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.configuration.Settings", OneMore)
    texts = generated()
    assert "| `SENTIMENT_MAX_PAGES` | `7` | whole number | Pages. |\n" in texts[PAGE]
    for path in (COMPOSE, MODELS):
        assert "\n  SENTIMENT_MAX_PAGES:\n" in texts[path]
    assert "\n# Pages.\n#SENTIMENT_MAX_PAGES=7\n" in texts[ENV]
    assert [path.name for path in FILES if path.read_text("utf-8") == texts[path]] == []


def test_a_setting_of_one_service_is_left_to_the_hand_written_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.configuration.Settings", OneMorePerService)
    texts = generated()
    assert "| `SENTIMENT_MAX_PAGES` |" in texts[PAGE]
    assert "SENTIMENT_MAX_PAGES" not in texts[COMPOSE] + texts[ENV]


def test_a_lost_marker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.configuration._BEGIN", "  # begin: elsewhere\n")
    with pytest.raises(ValueError, match="not enough values"):
        generated()


def test_the_page_names_every_setting_and_no_path_of_this_machine() -> None:
    page = PAGE.read_text("utf-8")
    for variable in Settings.variables().values():
        assert page.count(f"| `{variable}` |") == 1
    assert str(ROOT) not in "".join(generated().values())


def test_every_setting_is_described_and_every_group_starts_with_one_of_them() -> None:
    fields = Settings.model_fields
    assert [name for name, field in fields.items() if not field.description] == []
    starts = [list(fields).index(first) for first in GROUPS.values()]
    assert starts[0] == 0
    assert starts == sorted(starts)
