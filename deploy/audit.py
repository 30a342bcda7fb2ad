"""`make audit`: compare lock files and base images with known advisories.

The advisories are those of a file in OSV's format, and those of OSV itself.
The version of an image is that of its tag; OSV has servers under the ecosystem Bitnami.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from packaging.version import Version
from pydantic_core import from_json

from deploy.check_locks import pins
from deploy.images import base_images
from local.processes import ROOT

_KNOWN, _SKIPPED = 1, 3
_ADVISORIES = ROOT / "deploy" / "advisories.json"
_OSV = "https://api.osv.dev"
_TIMEOUT_S = 30
_BATCH = 500


class Part(NamedTuple):
    """A package or a server that we ship or use in development."""

    ecosystem: str
    name: str
    version: str


def parts() -> list[Part]:
    """Return every version that a lock file pins, and every base image."""
    locks = [path for pattern in ("*.lock", "*.txt") for path in (ROOT / "requirements").glob(pattern)]
    pinned = {
        Part("PyPI", pin.name, specifier.version)
        for lock in locks
        for pin in pins(lock)
        for specifier in pin.requirement.specifier
    }
    return sorted(pinned | {_of_image(image) for image in base_images()})


def _of_image(image: str) -> Part:
    name, _, tag = image.rpartition("/")[2].partition(":")
    return Part("Bitnami", name, tag.partition("-")[0].removeprefix("v"))


def advised(all_parts: Iterable[Part], advisories: Iterable[Mapping[str, Any]]) -> list[tuple[Part, str]]:
    """Return the parts that an advisory names, each with the advisory's id."""
    return [
        (part, advisory["id"])
        for advisory in advisories
        for part in all_parts
        if any(_affects(affected, part) for affected in advisory["affected"])
    ]


def _affects(affected: Mapping[str, Any], part: Part) -> bool:
    package = affected["package"]
    if (package["ecosystem"], package["name"].lower()) != (part.ecosystem, part.name):
        return False
    in_range = any(_in_range(each["events"], Version(part.version)) for each in affected.get("ranges", ()))
    return in_range or part.version in affected.get("versions", ())


def _in_range(events: Iterable[Mapping[str, str]], version: Version) -> bool:
    """Return whether a version is affected after all events, which are sorted by version."""
    inside = False
    for event in events:
        ((kind, bound),) = event.items()
        if kind == "introduced" and version >= Version(bound):
            inside = True
        elif (kind == "fixed" and version >= Version(bound)) or (
            kind == "last_affected" and version > Version(bound)
        ):
            inside = False
    return inside


def ask_osv(all_parts: list[Part], url: str) -> list[tuple[Part, str]]:
    """Return the parts for which OSV has an advisory, with its id. Raises httpx2.HTTPError."""
    found = []
    with httpx2.Client(base_url=url, timeout=_TIMEOUT_S) as client:
        for start in range(0, len(all_parts), _BATCH):
            batch = all_parts[start : start + _BATCH]
            response = client.post("/v1/querybatch", json={"queries": [_query(part) for part in batch]})
            answers = response.raise_for_status().json()["results"]
            found += [
                (part, advisory["id"])
                for part, answer in zip(batch, answers, strict=True)
                for advisory in answer.get("vulns", ())
            ]
    return found


def _query(part: Part) -> dict[str, Any]:
    return {"package": {"name": part.name, "ecosystem": part.ecosystem}, "version": part.version}


def main() -> int:
    """Print what is known; return 0, 1 if an advisory names a version of ours, 3 if OSV does not answer."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--advisories", type=Path, default=_ADVISORIES, help="JSON list in OSV's format")
    parser.add_argument("--osv", default=_OSV, help="URL of OSV or of a mirror")
    options = parser.parse_args()
    all_parts = parts()
    known, skipped = advised(all_parts, from_json(options.advisories.read_bytes())), ""
    try:
        known += ask_osv(all_parts, options.osv)
    except httpx2.HTTPError as error:
        skipped = (
            f"skipped: make audit, OSV does not answer ({error}); only {options.advisories.name} was read"
        )
    for part, advisory in sorted(set(known)):
        print(f"{part.name} {part.version}: {advisory}")
    print(skipped or f"{len(all_parts)} versions compared with OSV")
    return _KNOWN if known else _SKIPPED if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
