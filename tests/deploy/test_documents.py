"""What documents name is there: make targets, commands with their words, settings, files, anchors, code."""

from __future__ import annotations

import importlib.util
import re
import runpy
from pathlib import Path

import pytest

from local.processes import ROOT

README, CHINESE, INDEX = ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "docs" / "index.md"
CONTRIBUTING, SECURITY = ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"
CARDS = (ROOT / "models").glob("*/CARD.md")
DOCUMENTS = [
    *(README, CHINESE, CONTRIBUTING, SECURITY, ROOT / "CHANGELOG.md"),
    *sorted(CARDS),
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXTS = {path: path.read_text("utf-8") for path in DOCUMENTS}
# Documents whose lines are short enough to be read in a diff; a row of a table cannot be broken.
SHORT_LINED = [
    README,
    CHINESE,
    CONTRIBUTING,
    SECURITY,
    ROOT / "CHANGELOG.md",
    INDEX,
    ROOT / "docs" / "commands.md",
    ROOT / "docs" / "benchmarks.md",
]
LINK = re.compile(r"(?:\]\(|src=\")(?!https?://)([^)\"#\s]*)(?:#([^)\"\s]+))?[)\"]")


def named(pattern: str) -> set[str]:
    """What the pattern's group finds in any document."""
    return {found for text in TEXTS.values() for found in re.findall(pattern, text)}


def test_every_make_target_is_there() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = named(r"(?:`|^|\n|    )make ([a-z][a-z0-9-]*)")
    assert {"up", "test", "compose-test", "model"} <= asked
    assert asked - targets == set()


def test_every_module_that_is_run_is_there() -> None:
    modules = named(r"python -m ([a-z][a-z0-9_.]*[a-z])")
    assert {"api.auth", "worker.packing", "worker.health"} <= modules
    assert {module for module in modules if not importlib.util.find_spec(module)} == set()


@pytest.mark.parametrize("module", ["api.admin", "api.auth", "worker.packing", "webhooks"])
def test_every_word_of_a_command_is_one_that_it_knows(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = named(rf"python -m {re.escape(module)} ([a-z]+(?:-[a-z]+)*(?: --[a-z-]+)*)")
    assert words
    for word in words:
        command, *options = word.split()
        monkeypatch.setattr("sys.argv", [module, command, "--help"])
        with pytest.raises(SystemExit, match=r"^0$"):
            runpy.run_module(module, run_name="__main__")
        told = capsys.readouterr().out
        assert [option for option in options if option not in told] == [], word


def test_every_setting_is_one_that_is_read() -> None:
    known = set(re.findall(r"SENTIMENT_[A-Z_]+", (ROOT / "docs" / "configuration.md").read_text("utf-8")))
    assert named(r"(SENTIMENT_[A-Z0-9_]*[A-Z0-9])") - known == set()


COMMAND_LINE_SECRETS = re.compile(
    r"redis-cli [^`\n<]*(?:-u |-a |setuser \S+ [\"']?[<>])"  # a password
    r"|-H [\"']authorization: "
    r"|(?:make|docker|python)\b[^`\n]* (?:REDIS_URL|API_KEY|\w*(?:SECRET|PASSWORD))="
)


def test_no_document_puts_a_secret_on_a_command_line() -> None:
    assert [found[0] for text in TEXTS.values() for found in COMMAND_LINE_SECRETS.finditer(text)] == []


@pytest.mark.parametrize(
    "command",
    [
        "redis-cli -u $REDIS_URL ping",
        "redis-cli acl setuser api '>NEW'",
        "curl -H 'authorization: Bearer KEY' localhost",
        "make up SENTIMENT_HOST=0.0.0.0 REDIS_URL=redis://:PW@h/0",
        "make up API_KEY=sentiq_x",
        "docker run --env REDIS_PASSWORD=x redis",
    ],
)
def test_a_secret_on_a_command_line_is_found(command: str) -> None:
    assert COMMAND_LINE_SECRETS.search(command)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(path: Path) -> list[str]:
    """Return the links of a document that lead to no file, or to no heading of it."""
    dead = []
    for name, anchor in LINK.findall(TEXTS[path]):
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(f"{name}#{anchor}")
    return dead


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    assert dead_links(path) == []


@pytest.mark.parametrize(
    "link", ["[a](docs/none.md)", "[a](docs/jobs.md#none)", "[a](#none)", '<img src="none">']
)
def test_a_dead_link_is_found(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS, README, f"[jobs](docs/jobs.md#results) {link}")
    assert len(dead_links(README)) == 1


def test_the_index_lists_every_document() -> None:
    listed = {name for name, _ in LINK.findall(TEXTS[INDEX])}
    assert {path.name for path in INDEX.parent.iterdir() if path.is_file()} - {INDEX.name} - listed == set()


def test_the_readme_fits_on_two_screens_and_links_its_translation() -> None:
    assert len(TEXTS[README].splitlines()) <= 90
    assert "(README.zh-CN.md)" in TEXTS[README]
    assert "(README.md)" in TEXTS[CHINESE]


def test_the_readme_names_every_folder() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    assert folders - {"build"} - set(re.findall(r"`(\w+)/`", TEXTS[README])) == set()


@pytest.mark.parametrize("path", SHORT_LINED, ids=lambda path: path.name)
def test_lines_outside_tables_have_at_most_140_characters(path: Path) -> None:
    assert [line for line in TEXTS[path].splitlines() if len(line) > 140 and not line.startswith("|")] == []


def test_the_code_that_contributing_points_to_is_there() -> None:
    rows = re.findall(r"^\| (.+) \| (.*\]\(.*) \|$", TEXTS[CONTRIBUTING], re.MULTILINE)
    assert len(rows) >= 13
    for question, answer in rows:
        code = "".join((ROOT / name).read_text("utf-8") for name, _ in LINK.findall(answer))
        names = re.findall(r"`(\w+)`", answer)
        assert [name for name in names if not re.search(rf"\b{name}\b", code)] == [], question


def test_every_threat_has_a_defence_and_a_test() -> None:
    boundaries = TEXTS[ROOT / "docs" / "threat-model.md"].split("## Boundaries")[1].split("## What is not")[0]
    rows = [
        row
        for row in re.findall(r"^\| (.+) \|$", boundaries, re.MULTILINE)
        if not row.startswith(("threat", "---"))
    ]
    assert len(rows) >= 18
    assert [row for row in rows if not re.fullmatch(r"[^|]+ \| [^|]+ \| \[test_\w+\.py\]\(.+\)", row)] == []


def test_the_notice_names_every_file_of_weights() -> None:
    notice = (ROOT / "NOTICE").read_text("utf-8")
    kept = (path for path in (ROOT / "models").glob("*/*") if path.parent.name != "sources")
    files = [path.relative_to(ROOT) for path in kept if path.suffix not in {".json", ".md"}]
    assert len(files) >= 5
    assert [str(path) for path in files if str(path) not in notice] == []
