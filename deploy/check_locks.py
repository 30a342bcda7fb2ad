"""`make check-locks`: check that each lock file installs from wheels, without a compiler.

It reads the pages of the package index that pip is configured with, and downloads no package.
Of a page, only the files whose hashes are in the lock file count.
"""

from __future__ import annotations

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
    """A system: the values of its markers, and the platform tags of the wheels that pip installs on it."""

    name: str
    markers: tuple[tuple[str, str], ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """A CPython version on a platform."""

    python: str
    platform: Platform

    def __str__(self) -> str:
        """Return both names."""
        return f"Python {self.python} on {self.platform.name}"


@dataclass(frozen=True)
class Pin:
    """A requirement of a lock file; without hashes, any file of its version counts."""

    requirement: Requirement
    hashes: frozenset[str]

    @property
    def name(self) -> str:
        """Return the name of the distribution as an index spells it."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True)
class Wheel:
    """A wheel that a page of the index lists."""

    version: str
    tags: frozenset[Tag]
    sha256: str
    requires_python: SpecifierSet


def _linux(name: str, machine: str, glibc_minors: range) -> Platform:
    markers = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine}
    tags = [f"manylinux_2_{minor}_{machine}" for minor in glibc_minors]
    return Platform(name, tuple(markers.items()), (*tags, f"manylinux2014_{machine}", f"linux_{machine}"))


_PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Debian 10 and RHEL 8 have glibc 2.28: numpy and the Valkey server have no wheels for an older one.
LINUX_X86 = _linux("Linux x86-64", "x86_64", range(28, 4, -1))
# Ubuntu 22.04 has glibc 2.35: openvino has no wheels for an older one.
LINUX_ARM = _linux("Linux arm64", "aarch64", range(35, 16, -1))
MAC = Platform(
    "macOS arm64",
    (("sys_platform", "darwin"), ("platform_system", "Darwin"), ("platform_machine", "arm64")),
    tuple(mac_platforms((14, 0), "arm64")),
)
_LINUX = (LINUX_X86, LINUX_ARM)
# Installed by users: make up, make test, make up MODEL=. The requirements of torch itself are not checked.
# browser, contract, formats, parity, plot and spark are not checked: their make targets are for developers.
_USERS = {
    "local.lock": (*_LINUX, MAC),
    "dev.lock": _LINUX,
    "models.lock": _LINUX,
    "torch.txt": _LINUX,
}
_IMAGES = {
    "api.lock": "Dockerfile.api",
    "worker.lock": "Dockerfile.worker",
    "worker-torch.lock": "Dockerfile.worker",
    "pack.lock": "Dockerfile.worker",
    "webhooks.lock": "Dockerfile.webhooks",
    "flower.lock": "Dockerfile.flower",
    "tracing.lock": "Dockerfile.api",
}
# (distribution, Python, platform) without a wheel, and why that is accepted.
_KNOWN = {
    ("gevent", "3.11", "macOS arm64"): (
        "gevent has no macOS wheels for Python 3.11: use Python 3.12 or newer there, or install a compiler"
    ),
}


def main() -> int:
    """Print a table and the missing wheels; return 0, 1 if any is missing, 3 if the index does not answer."""
    plan = _plan()
    locks = {name: pins(_REQUIREMENTS / name) for name in plan}
    try:
        wheels = wheels_of({pin.name for lock in locks.values() for pin in lock}, _index_url())
    except NoIndexError as error:
        print(f"skipped: make check-locks, the package index does not answer: {error}")
        return _NO_INDEX
    lacking = {(name, target): missing(locks[name], target, wheels) for name in plan for target in plan[name]}
    _print_table(lacking)
    return _MISSING if _print_reasons(lacking) else 0


def _plan() -> dict[str, list[Target]]:
    """Return the targets of each lock file: users have any Python, an image has one."""
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


def missing(lock: Sequence[Pin], target: Target, wheels: Mapping[str, Sequence[Wheel]]) -> list[Pin]:
    """Return the pins of a lock file that apply to a target and have no wheel for it."""
    return [
        pin
        for pin in lock
        if _applies(pin, target) and not any(_installs(wheel, pin, target) for wheel in wheels[pin.name])
    ]


def _applies(pin: Pin, target: Target) -> bool:
    marker = pin.requirement.marker
    values = {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "python_version": target.python,
        # The first release: it needs backports such as async-timeout that later releases do not.
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
    """Return the tags of the wheels that pip installs on a target."""
    version = tuple(int(part) for part in target.python.split("."))
    abi, platforms = f"cp{target.python.replace('.', '')}", target.platform.tags
    return frozenset([*cpython_tags(version, [abi], platforms), *compatible_tags(version, abi, platforms)])


def wheels_of(names: set[str], index: str) -> dict[str, list[Wheel]]:
    """Return the wheels of each distribution on an index. Raises NoIndexError."""
    ordered = sorted(names)
    with httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=True) as client:
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            pages = threads.map(lambda name: _read_page(client, f"{index}/{name}/"), ordered)
        return dict(zip(ordered, pages, strict=True))


def _index_url() -> str:
    """Return the URL of the index that pip is configured with, from pip's help. Raises NoIndexError."""
    command = [sys.executable, "-m", "pip", "install", "--help"]
    wide = os.environ | {"COLUMNS": "1000"}
    text = subprocess.run(command, env=wide, capture_output=True, text=True, check=True).stdout
    match = re.search(r"--index-url <url>.*\(default (\S+)\)", text)
    if not match:
        raise NoIndexError("pip's help shows no index")
    return match[1].rstrip("/")


def _read_page(client: httpx2.Client, url: str) -> list[Wheel]:
    """Return the wheels on a distribution's page; none if the index has no such page."""
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
        """Add the wheel that a link leads to, if it is one."""
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
    """Print a row for each lock file and platform, with a column for each Python."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for (lock, target), pins_without in lacking.items():
        row = cells.setdefault((lock, target.platform.name), {})
        row[target.python] = f"{len(pins_without)} lack" if pins_without else "wheels"
    print(f"{'lock file':14}{'platform':14}" + "".join(f"{python:8}" for python in _PYTHONS).rstrip())
    for (lock, platform), row in cells.items():
        print(f"{lock:14}{platform:14}" + "".join(f"{row.get(python, ''):8}" for python in _PYTHONS).rstrip())


def _print_reasons(lacking: Lacking) -> bool:
    """Print missing wheels and unused exceptions; return whether any of them fails the check."""
    failed, used = False, set()
    for (lock, target), pins_without in lacking.items():
        for pin in pins_without:
            key = (pin.name, target.python, target.platform.name)
            used.add(key)
            failed |= key not in _KNOWN
            print(f"no wheel: {pin.name}{pin.requirement.specifier} of {lock}, {target}", end="")
            print(f" (accepted: {_KNOWN[key]})" if key in _KNOWN else "")
    for key in _KNOWN.keys() - used:
        failed = True
        print(f"exception that is not needed: {', '.join(key)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
