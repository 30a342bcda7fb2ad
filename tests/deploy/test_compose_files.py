"""docker-compose.yml passes every setting on, and .env.example explains every variable."""

from __future__ import annotations

import re

import pytest
import yaml

from local.processes import ROOT
from tasks.settings import PER_SERVICE, Settings

COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
EXPLAINED = set(re.findall(r"^#(\w+)=", EXAMPLE, re.MULTILINE))
COMPOSE_OWN = {"COMPOSE_PROFILES"}  # what compose itself reads
# What the images and the file itself decide.
FIXED = {"REDIS_URL", "PORT", "SENTIMENT_HOST", "SENTIMENT_PROXIES", "SENTIMENT_PACK", "DEVICE"}


def test_every_setting_can_be_set_and_is_explained() -> None:
    settable = set(Settings.variables().values()) - FIXED
    assert settable <= EXPLAINED
    assert {name for name in settable if name in COMPOSE} == settable


def test_every_variable_of_the_file_is_explained_and_none_else() -> None:
    passed_on = set(re.findall(r"^ +([A-Z]\w+):$", COMPOSE, re.MULTILINE))
    assert set(re.findall(r"\$\{(\w+)", COMPOSE)) | passed_on == EXPLAINED - COMPOSE_OWN


def test_services_that_take_settings_take_all_but_those_that_are_set_per_service() -> None:
    file = yaml.safe_load(COMPOSE)
    common = {
        variable
        for name, variable in Settings.variables().items()
        if PER_SERVICE not in Settings.model_fields[name].metadata
    }
    assert set(file["x-settings"]) == common
    for service in ("api", "worker", "webhooks"):
        assert common < set(file["services"][service]["environment"])


def test_a_variable_is_explained_once_and_has_one_default() -> None:
    assert len(re.findall(r"^#\w+=", EXAMPLE, re.MULTILINE)) == len(EXPLAINED)
    defaults = set(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))
    assert len(defaults) == len({name for name, _ in defaults})
    explained = dict(re.findall(r"^#(\w+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert {name: explained[name] for name, _ in defaults} == dict(defaults)


def test_defaults_of_settings_are_values_that_programs_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    explained = dict(re.findall(r"^#(\w+)=(.+)$", EXAMPLE, re.MULTILINE))
    own = {"AUTH"}  # compose publishes to this machine only, so that its API needs no keys
    for variable in Settings.variables().values():
        monkeypatch.delenv(variable, raising=False)
    usual = Settings.read()
    for variable in set(Settings.variables().values()) & set(explained) - own:
        monkeypatch.setenv(variable, explained[variable])
    assert Settings.read() == usual


@pytest.mark.parametrize("role", ["api", "worker", "webhooks", "flower"])
def test_images_are_pinned_to_one_version_of_python(role: str) -> None:
    first = re.search(r"^ARG PYTHON=(\S+)$", (ROOT / f"Dockerfile.{role}").read_text("utf-8"), re.MULTILINE)
    assert first is not None
    assert re.fullmatch(r"3\.11\.\d+-slim-bookworm", first[1])
