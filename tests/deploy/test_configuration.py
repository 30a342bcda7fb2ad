from __future__ import annotations

from pathlib import Path

from deploy.configuration import configuration
from tasks.settings import Settings

ROOT = Path(__file__).parent.parent.parent


def test_the_page_of_settings_is_current() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert page == configuration(), "make configuration"


def test_it_names_every_setting_and_no_path_of_this_machine() -> None:
    page = configuration()
    for variable in Settings.variables().values():
        assert f"| `{variable}` |" in page
    assert str(ROOT) not in page
