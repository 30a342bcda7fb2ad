"""The contents of the images."""

from __future__ import annotations

import json
import re

import pytest

from deploy.containers import Project, docker
from tests.containers.conftest import SERVICES, TAG

OURS = ("api", "worker", "webhooks", "flower")
MAKERS = {"torch", "transformers", "modelscope", "nncf", "scikit-learn", "scipy", "datasets"}
READERS = {"openvino", "tokenizers", "numpy"}
SERVERS = {"flask", "gunicorn", "gevent"}
COMPILERS = ("gcc", "cc", "g++", "clang", "rustc", "make")
LIST = "import importlib.metadata as m; print(*(d.metadata['Name'].lower() for d in m.distributions()))"


def packages(role: str) -> set[str]:
    listed = docker("run", "--rm", "--entrypoint", "python", f"sentiq-{role}:{TAG}", "-c", LIST)
    return set(listed.split())


@pytest.mark.parametrize(
    ("role", "has", "lacks"),
    [
        ("api", SERVERS, MAKERS | READERS),
        ("worker", READERS, MAKERS | SERVERS),
        ("webhooks", {"standardwebhooks"}, MAKERS | READERS | SERVERS),
        ("flower", {"flower", "tornado"}, MAKERS | READERS | SERVERS),
    ],
)
@pytest.mark.usefixtures("images")
def test_an_image_holds_the_packages_of_its_role_and_no_others(
    role: str, has: set[str], lacks: set[str]
) -> None:
    installed = packages(role)
    assert has <= installed
    assert not lacks & installed


@pytest.mark.parametrize(("role", "rooms"), [("api", "api tasks"), ("worker", "tasks worker")])
@pytest.mark.usefixtures("images")
def test_an_image_holds_the_code_of_its_role_and_no_compiler(role: str, rooms: str) -> None:
    image = f"sentiq-{role}:{TAG}"
    assert docker("run", "--rm", "--entrypoint", "ls", image, "/app").split() == rooms.split()
    look = " ".join(f"command -v {name};" for name in COMPILERS)
    assert docker("run", "--rm", "--entrypoint", "sh", image, "-c", f"{look} true") == ""


@pytest.mark.parametrize("role", [*OURS, "nginx"])
def test_no_secret_is_in_an_image(images: Project, role: str) -> None:
    image = f"sentiq-{role}:{TAG}"
    text = docker("history", "--no-trunc", image) + docker("inspect", image)
    assert not [name for name, value in images.env.items() if "PASSWORD" in name and value in text]
    assert not re.search(r"(?i)(password|secret|token|login)=", text)


@pytest.mark.parametrize("role", [*OURS, "nginx"])
@pytest.mark.usefixtures("images")
def test_images_run_in_exec_form_without_root_with_a_probe_and_a_stop_signal(role: str) -> None:
    (image,) = json.loads(docker("inspect", f"sentiq-{role}:{TAG}"))
    config = image["Config"]
    assert config["User"] in ("10001:10001", "101:101")
    assert (config["Cmd"] or config["Entrypoint"])[0] != "/bin/sh"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["StopSignal"] in ("SIGTERM", "SIGQUIT")


def test_containers_cannot_write_to_their_root_or_gain_rights(stack: Project) -> None:
    for service in SERVICES:
        for container in stack.inspect(service):
            host = container["HostConfig"]
            assert host["ReadonlyRootfs"], service
            assert (host["CapDrop"], host["CapAdd"], host["Privileged"]) == (["ALL"], None, False)
            assert host["SecurityOpt"] == ["no-new-privileges:true"]
            processes = docker("top", container["Id"], "-eo", "pid,user").split()[3::2]
            assert "root" not in processes, service


def test_a_worker_has_one_child_a_core_of_its_quota(stack: Project) -> None:
    """WORKER_CPUS is 1 here."""
    for container in stack.containers("worker"):
        commands = docker("top", container, "-eo", "pid,args").splitlines()[1:]
        assert len([line for line in commands if "worker.main" in line]) == 2, "a parent and one child"
