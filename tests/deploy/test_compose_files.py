"""The compose files pass every setting on, and .env.example explains every variable."""

from __future__ import annotations

import re

import pytest
import yaml

from deploy.images import base_images, variable_of
from local.processes import ROOT
from tasks.settings import PER_SERVICE, Settings

COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
MODELS = (ROOT / "deploy" / "compose" / "models.yml").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
EXPLAINED = set(re.findall(r"^#(\w+)=", EXAMPLE, re.MULTILINE))
COMPOSE_OWN = {"COMPOSE_PROFILES"}  # read by compose itself
LOCKED = {variable_of(image) for image in base_images()}  # from deploy/images.lock
# Set by the images or by docker-compose.yml.
FIXED = {"REDIS_URL", "PORT", "SENTIMENT_HOST", "SENTIMENT_PROXIES", "SENTIMENT_PACK", "DEVICE"}


def test_every_setting_can_be_set_and_is_explained() -> None:
    settable = set(Settings.variables().values()) - FIXED
    assert settable <= EXPLAINED
    assert {name for name in settable if name in COMPOSE} == settable


def test_exactly_the_variables_of_the_file_are_explained() -> None:
    passed_on = set(re.findall(r"^ +([A-Z]\w+):$", COMPOSE, re.MULTILINE))
    assert set(re.findall(r"\$\{(\w+)", COMPOSE)) | passed_on == EXPLAINED - COMPOSE_OWN | LOCKED


def test_services_with_settings_get_all_but_those_that_are_set_per_service() -> None:
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
    defaults = {each for each in re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE) if each[0] not in LOCKED}
    assert len(defaults) == len({name for name, _ in defaults})
    explained = dict(re.findall(r"^#(\w+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert {name: explained[name] for name, _ in defaults} == dict(defaults)


def test_the_explained_defaults_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    explained = dict(re.findall(r"^#(\w+)=(.+)$", EXAMPLE, re.MULTILINE))
    # Compose publishes to this machine only, so its API needs no keys; other containers use two more names.
    own = {"AUTH", "SENTIMENT_HOSTS"}
    for variable in Settings.variables().values():
        monkeypatch.delenv(variable, raising=False)
    defaults = Settings.read()
    for variable in set(Settings.variables().values()) & set(explained) - own:
        monkeypatch.setenv(variable, explained[variable])
    assert Settings.read() == defaults


def test_the_service_of_a_further_model_differs_from_worker_in_its_model_alone() -> None:
    worker = yaml.safe_load(COMPOSE)["services"]["worker"]
    del worker["build"], worker["scale"]
    environment = worker.pop("environment")
    services = yaml.safe_load(MODELS)["services"]
    assert len(services) > 1
    for name, service in services.items():
        model = name.removeprefix("worker-")
        own = {"SENTIMENT_MODEL_NAME": model, "SENTIMENT_PACK": f"/packs/{model}"}
        assert service.pop("environment") | {"PACKS": None} == environment | own
        assert service == worker


def test_a_worker_has_no_way_out_and_redis_no_way_in() -> None:
    file = yaml.safe_load(COMPOSE)
    assert file["networks"]["back"] == {"internal": True}
    assert file["services"]["worker"]["networks"] == file["services"]["redis"]["networks"] == ["back"]
    assert {name for name, service in file["services"].items() if "ports" in service} == {
        *("nginx", "prometheus", "grafana"),
    }


def test_every_container_may_open_the_files_that_its_connections_need() -> None:
    """nginx asks for 16384, and an API process holds thousands of requests; an engine may give 1024."""
    for name, service in yaml.safe_load(COMPOSE)["services"].items():
        assert service["ulimits"]["nofile"] >= 16384, name


def test_the_start_scripts_that_refuse_a_public_address_are_told_what_they_need() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    published = {port.split(":-")[0] for port in services["nginx"]["ports"]}
    assert published == {"${BIND"}
    assert {"BIND", "AUTH"} <= set(services["nginx"]["environment"])
    assert "BIND" in services["redis"]["environment"]


@pytest.mark.parametrize("role", ["api", "worker", "webhooks", "flower"])
def test_images_are_pinned_to_one_version_of_python(role: str) -> None:
    first = re.search(r"^ARG PYTHON=(\S+)$", (ROOT / f"Dockerfile.{role}").read_text("utf-8"), re.MULTILINE)
    assert first is not None
    assert re.fullmatch(r"3\.11\.\d+-slim-bookworm", first[1])
