"""`make check-locks`: whether each lock file installs from wheels alone, without a compiler.

It reads the pages of the package index that pip is configured with, and downloads no package.
The hashes in a lock file decide which files of a page count.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urldefrag

import httpx2
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from local.processes import ROOT

_MISSING = 1
_NO_INDEX = 3
_TIMEOUT_S = 30
_CONNECTIONS = 8
_REQUIREMENTS = ROOT / "requirements"


class NoIndexError(Exception):
    """The package index does not answer; the message has its URL and the cause."""


@dataclass(frozen=True)
class Platform:
    """A system: the values of its markers, and the platform tags of the wheels that it takes."""

    name: str
    markers: tuple[tuple[str, str], ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """A CPython on a platform."""

    python: str
    platform: Platform

    def __str__(self) -> str:
        """Name both."""
        return f"Python {self.python} on {self.platform.name}"


@dataclass(frozen=True)
class Pin:
    """A line of a lock file; without hashes any file of its version counts."""

    requirement: Requirement
    hashes: frozenset[str]

    @property
    def name(self) -> str:
        """The name of the distribution as an index spells it."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True)
class Wheel:
    """A wheel on a page of the index."""

    version: str
    tags: frozenset[Tag]
    sha256: str
    requires_python: SpecifierSet


def _linux(name: str, machine: str, glibc_minors: range) -> Platform:
    markers = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine}
    tags = [f"manylinux_2_{minor}_{machine}" for minor in glibc_minors]
    return Platform(name, tuple(markers.items()), (*tags, f"manylinux2014_{machine}", f"linux_{machine}"))


_PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# glibc 2.28 is that of Debian 10 and RHEL 8: numpy and the Valkey server have no wheels for an older one.
LINUX_X86 = _linux("Linux x86-64", "x86_64", range(28, 4, -1))
# glibc 2.35 is that of Ubuntu 22.04: openvino has no wheels for an older one.
LINUX_ARM = _linux("Linux arm64", "aarch64", range(35, 16, -1))
MAC = Platform(
    "macOS arm64",
    (("sys_platform", "darwin"), ("platform_system", "Darwin"), ("platform_machine", "arm64")),
    tuple(mac_platforms((14, 0), "arm64")),
)
_LINUX = (LINUX_X86, LINUX_ARM)
# What a user installs: make up, make test, make up MODEL= (with what torch itself requires left out).
# browser, contract, parity and plot are left out: their make targets are for developers.
_USERS = {
    "local.lock": (*_LINUX, MAC),
    "dev.lock": _LINUX,
    "models.lock": _LINUX,
    "torch.txt": _LINUX,
}
_IMAGES = {
    "api.lock": "Dockerfile.api",
    "worker.lock": "Dockerfile.worker",
    "pack.lock": "Dockerfile.worker",
    "webhooks.lock": "Dockerfile.webhooks",
    "flower.lock": "Dockerfile.flower",
}
# What has no wheel (distribution, Python, platform), and why that is accepted.
_KNOWN = {
    ("gevent", "3.11", "macOS arm64"): (
        "gevent has no macOS wheels for Python 3.11: take Python 3.12 or newer there, or have a compiler"
    ),
}


def main() -> int:
    """Print a table and what has no wheel; 0, 1 if anything is missing, 3 if there is no index."""
    plan = _plan()
    locks = {name: pins(_REQUIREMENTS / name) for name in plan}
    try:
        found = wheels_of({pin.name for lock in locks.values() for pin in lock}, _index_url())
    except NoIndexError as error:
        print(f"left out: make check-locks, the package index does not answer: {error}")
        return _NO_INDEX
    lacking = {(name, target): missing(locks[name], target, found) for name in plan for target in plan[name]}
    _print_table(lacking)
    return _MISSING if _print_reasons(lacking) else 0


def _plan() -> dict[str, list[Target]]:
    """Return where each lock file is installed: with any Python by a user, with its own in an image."""
    plan = {
        name: [Target(python, system) for system in systems for python in _PYTHONS]
        for name, systems in _USERS.items()
    }
    for name, dockerfile in _IMAGES.items():
        python = re.findall(r"^ARG PYTHON=(\d+\.\d+)", (ROOT / dockerfile).read_text("utf-8"), re.MULTILINE)[
            0
        ]
        plan[name] = [Target(python, system) for system in _LINUX]
    return plan


def pins(path: Path) -> list[Pin]:
    """Return the pins of a lock file."""
    lines = path.read_text("utf-8").replace("\\\n", " ").splitlines()
    return [
        Pin(Requirement(line.split(" --hash=")[0]), frozenset(re.findall(r"--hash=sha256:(\w+)", line)))
        for line in lines
        if line.strip() and not line.lstrip().startswith("#")
    ]


def missing(lock: Sequence[Pin], target: Target, found: Mapping[str, Sequence[Wheel]]) -> list[Pin]:
    """Return the pins of a lock file that count on a target and have no wheel for it."""
    return [
        pin
        for pin in lock
        if _counts(pin, target) and not any(_installs(wheel, pin, target) for wheel in found[pin.name])
    ]


def _counts(pin: Pin, target: Target) -> bool:
    marker = pin.requirement.marker
    values = {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "python_version": target.python,
        # The first release: it needs what later ones need, and backports such as async-timeout as well.
        "python_full_version": f"{target.python}.0",
        **dict(target.platform.markers),
    }
    return marker is None or marker.evaluate(values)


def _installs(wheel: Wheel, pin: Pin, target: Target) -> bool:
    return (
        pin.requirement.specifier.contains(wheel.version, prereleases=True)
        and (not pin.hashes or wheel.sha256 in pin.hashes)
        and wheel.requires_python.contains(f"{target.python}.0")
        and not wheel.tags.isdisjoint(_tags(target))
    )


@cache
def _tags(target: Target) -> frozenset[Tag]:
    """Return the tags of the wheels that pip takes on a target."""
    version = tuple(int(part) for part in target.python.split("."))
    abi, platforms = f"cp{target.python.replace('.', '')}", target.platform.tags
    return frozenset([*cpython_tags(version, [abi], platforms), *compatible_tags(version, abi, platforms)])


def wheels_of(names: set[str], index: str) -> dict[str, list[Wheel]]:
    """Return the wheels an index has of each distribution; raise `NoIndexError` if it does not answer."""
    ordered = sorted(names)
    with httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=True) as client:
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            pages = threads.map(lambda name: _read_page(client, f"{index}/{name}/"), ordered)
        return dict(zip(ordered, pages, strict=True))


def _index_url() -> str:
    """Return the URL of the index that pip is configured with, as pip's help shows it."""
    command = [sys.executable, "-m", "pip", "install", "--help"]
    wide = os.environ | {"COLUMNS": "1000"}
    text = subprocess.run(command, env=wide, capture_output=True, text=True, check=True).stdout
    found = re.search(r"--index-url <url>.*\(default (\S+)\)", text)
    if not found:
        raise NoIndexError("pip's help names none")
    return found[1].rstrip("/")


def _read_page(client: httpx2.Client, url: str) -> list[Wheel]:
    """Return the wheels on a distribution's page; none if the index does not have the distribution."""
    try:
        response = client.get(url, headers={"Accept": "text/html"})
        if response.status_code == HTTPStatus.NOT_FOUND:
            return []
        response.raise_for_status()
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NoIndexError(f"{url}: {error}") from error
    page = _Page()
    page.feed(response.text)
    return page.wheels


class _Page(HTMLParser):
    """The wheels that a page of the simple repository API links to."""

    def __init__(self) -> None:
        super().__init__()
        self.wheels: list[Wheel] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a link that leads to a wheel."""
        link = {name: value or "" for name, value in attrs}
        if tag != "a" or "href" not in link:
            return
        url, fragment = urldefrag(link["href"])
        try:
            _, version, _, tags = parse_wheel_filename(unquote(url.rsplit("/", 1)[-1]))
        except InvalidWheelFilename:
            return
        python = SpecifierSet(link.get("data-requires-python", ""))
        self.wheels.append(Wheel(str(version), tags, fragment.removeprefix("sha256="), python))


Lacking = Mapping[tuple[str, Target], Sequence[Pin]]


def _print_table(lacking: Lacking) -> None:
    """Print a row for each lock file and platform, a column for each Python."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for (lock, target), without in lacking.items():
        row = cells.setdefault((lock, target.platform.name), {})
        row[target.python] = f"{len(without)} lack" if without else "wheels"
    print(f"{'lock file':14}{'platform':14}" + "".join(f"{python:8}" for python in _PYTHONS).rstrip())
    for (lock, platform), row in cells.items():
        print(f"{lock:14}{platform:14}" + "".join(f"{row.get(python, ''):8}" for python in _PYTHONS).rstrip())


def _print_reasons(lacking: Lacking) -> bool:
    """Print what has no wheel where, and the exceptions nothing needs; return whether there is any."""
    wrong, used = False, set()
    for (lock, target), without in lacking.items():
        for pin in without:
            key = (pin.name, target.python, target.platform.name)
            used.add(key)
            wrong |= key not in _KNOWN
            print(f"no wheel: {pin.name}{pin.requirement.specifier} of {lock}, {target}", end="")
            print(f" (accepted: {_KNOWN[key]})" if key in _KNOWN else "")
    for key in _KNOWN.keys() - used:
        wrong = True
        print(f"accepted without need: {', '.join(key)}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
