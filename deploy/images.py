"""The base images: tags in the Dockerfiles and docker-compose.yml, digests in deploy/images.lock.

`make lock-images` writes the digests of what the registry has under these tags.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from subprocess import TimeoutExpired

from deploy.containers import EngineError, docker
from local.processes import ROOT

LOCK = ROOT / "deploy" / "images.lock"
_SKIPPED = 3
_NOT_TESTED = "grafana/grafana"
_HEAD = """# Digests of the base images, written by `make lock-images`. Without one, the tag alone chooses.
# To build and run with them: set -a; . deploy/images.lock; set +a
"""


def base_images() -> list[str]:
    """Return the images that ours are built on or that run as they are, as `name:tag`, sorted."""
    dockerfiles = "".join(path.read_text("utf-8") for path in sorted(ROOT.glob("Dockerfile.*")))
    compose = (ROOT / "docker-compose.yml").read_text("utf-8")
    built_on = {
        f"{name.lower()}:{tag}"
        for name, tag in re.findall(r"^ARG (PYTHON|NGINX)=(\S+)", dockerfiles, re.MULTILINE)
    }
    run = set(re.findall(r"^ +image: ((?!sentiq-)[^\s$]+)", compose, re.MULTILINE))
    return sorted(built_on | run)


def variable_of(image: str) -> str:
    """Return the variable with the digest of an image: `REDIS_DIGEST` of `redis:7`."""
    return image.partition(":")[0].rpartition("/")[2].upper() + "_DIGEST"


def digests(path: Path = LOCK) -> dict[str, str]:
    """Return the variables of the lock file, each `@sha256:…`."""
    return dict(re.findall(r"^(\w+)=(\S+)$", path.read_text("utf-8"), re.MULTILINE))


def missing_image() -> str:
    """Return which image of the container tests is not here and cannot be pulled; empty if none."""
    for image in base_images():
        here = docker("image", "inspect", "--format", "x", image, check=False)
        if not here and not image.startswith(_NOT_TESTED) and not _pulled(image):
            return f"the image {image} cannot be pulled"
    return ""


def _pulled(image: str) -> bool:
    try:
        docker("pull", "--quiet", image)
    except (EngineError, TimeoutExpired):
        return False
    return True


def _digest(image: str) -> str:
    """Return the digest that the registry has for an image. Raises EngineError."""
    docker("pull", "--quiet", image)
    name = docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", image)
    return "@" + name.partition("@")[2]


def main() -> int:
    """Write the lock file; return 3, and leave the file as it is, if an image cannot be pulled."""
    try:
        lines = [f"{variable_of(image)}={_digest(image)}\n" for image in base_images()]
    except (EngineError, OSError) as error:
        print(f"skipped: make lock-images, {str(error).splitlines()[0]} failed")
        return _SKIPPED
    LOCK.write_text(_HEAD + "".join(lines), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
