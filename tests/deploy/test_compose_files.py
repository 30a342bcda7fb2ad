"""docker-compose.yml passes every setting on, and .env.example explains every variable."""

from __future__ import annotations

import re

import pytest

from local.processes import ROOT
from tasks.settings import Settings

COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
EXPLAINED = set(re.findall(r"^#(\w+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
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


@pytest.mark.parametrize("role", ["api", "worker", "webhooks", "flower"])
def test_images_are_pinned_to_one_version_of_python(role: str) -> None:
    first = re.search(r"^ARG PYTHON=(\S+)$", (ROOT / f"Dockerfile.{role}").read_text("utf-8"), re.MULTILINE)
    assert first is not None
    assert re.fullmatch(r"3\.11\.\d+-slim-bookworm", first[1])
