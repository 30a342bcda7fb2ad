"""Which service the command calls, with which key: the environment, or a profile file."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentiq.command.exits import UsageError
from sentiq.connecting import DEFAULT_URL, key_for

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_DEFAULT = "default"
_EXAMPLE = '[default]\nurl = "https://sentiq.example.com"\nkey = "sentiq_…"'


@dataclass(frozen=True)
class Access:
    """The URL of a service and the key for it."""

    url: str
    key: str | None


def profile_file() -> Path:
    """Return the path of the profile file."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "sentiq" / "profile.toml"


def access(url: str | None, profile: str | None) -> Access:
    """Return the service: `--url` or `--profile`, else the environment, else the profile `default`.

    A key goes only to the URL that stands beside it: SENTIQ_API_KEY goes to `--url` only if SENTIQ_URL names
    no other service, and the key of a profile never does. Raises UsageError.
    """
    env_url, env_key = os.environ.get("SENTIQ_URL"), os.environ.get("SENTIQ_API_KEY")
    if url and profile:
        raise UsageError("--url and --profile both name a service. Give one of them.")
    if profile is None and (url or env_url or env_key):
        chosen_url = url or env_url or DEFAULT_URL
        return Access(chosen_url, key_for(chosen_url) or None)
    chosen = _profiles().get(profile or _DEFAULT)
    if chosen is None and profile is None:
        return Access(DEFAULT_URL, None)
    if not isinstance(chosen, Mapping):
        raise UsageError(f"{profile_file()} has no profile [{profile}]. Add it, like this:\n{_EXAMPLE}")
    unknown = set(chosen) - {"url", "key"}
    if unknown or not all(isinstance(value, str) for value in chosen.values()):
        raise UsageError(
            f"{profile_file()}: a profile has a url and a key, both texts, like this:\n{_EXAMPLE}"
        )
    return Access(chosen.get("url", DEFAULT_URL), chosen.get("key"))


def _profiles() -> Mapping[str, Any]:
    path = profile_file()
    try:
        text = path.read_text("utf-8")
        mode = path.stat().st_mode
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    try:
        profiles: Mapping[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}. Write it like this:\n{_EXAMPLE}") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO) and "key" in text:
        raise UsageError(f"Other users can read the key in {path}. Run: chmod 600 {path}")
    return profiles
