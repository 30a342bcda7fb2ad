"""`sentiq score` on a real service: every row comes back with its verdict, and faults say what to do."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import shlex
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sentiq.command.exits import InputError
from sentiq.command.run import Run
from sentiq.command.state import Places, State

from local.ports import free_port
from local.stack import Stack
from tests.client.command import environment, sentiq, started
from tests.client.proxy import Plan, proxied, response
from tests.conftest import eventually, started_stack
from tests.table_cases import CASES, UNCLOSED

REVIEWS = ["服务很贴心", "等了两个小时，菜都凉了", "", "味道不错，分量也足"]
ADDED = ["label", "confidence", "score", "error"]
pytestmark = pytest.mark.timeout(150)


def write_rows(path: Path, rows: Sequence[Sequence[str]], codec: str = "utf-8", **dialect: Any) -> Path:
    with path.open("w", encoding=codec, newline="") as file:
        csv.writer(file, **dialect).writerows([["编号", "评论", "店铺"], *rows])
    return path


def limited(folder: Path, url: str, kilobytes: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command where no file may grow beyond a size, as on a disk that is full."""
    shell = f'ulimit -f {kilobytes}; exec "$0" -m sentiq.command "$@"'
    return subprocess.run(
        ["/bin/bash", "-c", shell, sys.executable, *arguments],
        cwd=folder,
        env=environment(folder, url),
        capture_output=True,
        timeout=100,
        check=False,
    )


def read_rows(content: bytes, codec: str = "utf-8", delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(codec), newline=""), delimiter=delimiter))


def some_rows(count: int) -> list[list[str]]:
    return [
        [str(n), f"第{n}次来，味道不错" if n % 3 else "", "南山店" if n % 2 else "福田店"]
        for n in range(count)
    ]


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    rows = [[str(n), text, "南山店" if n % 2 else "福田店"] for n, text in enumerate(REVIEWS)]
    return write_rows(tmp_path / "reviews.csv", rows)


def runs(http: httpx2.Client) -> dict[str, int]:
    """The jobs of the command on the service, each with its items."""
    jobs = http.get("/v1/jobs", params={"limit": 100}).json()["data"]
    return {job["id"]: job["counts"]["total"] for job in jobs if "sentiq_run" in job["metadata"]}


def test_every_row_comes_back_in_order_with_its_verdict(
    reviews: Path, live_url: str, http: httpx2.Client, tmp_path: Path
) -> None:
    done = sentiq(
        tmp_path, live_url, "score", "reviews.csv", "--column", "评论", "-o", "out.csv", "--by", "店铺"
    )
    assert done.returncode == 0, done.stderr
    before, after = read_rows(reviews.read_bytes()), read_rows((tmp_path / "out.csv").read_bytes())
    assert [row[:3] for row in after] == before
    assert after[0][3:] == ADDED
    texts = [text for text in REVIEWS if text]
    job = http.post(
        "/v1/jobs", json={"items": [{"text": text} for text in texts]}, headers={"prefer": "wait=30"}
    )
    items = http.get(f"/v1/jobs/{job.json()['id']}/results").json()["data"]
    wanted = [[item["label"], str(item["confidence"]), str(item["score"]), ""] for item in items]
    assert [row[3:] for row in after[1:]] == [*wanted[:2], ["", "", "", ""], wanted[2]]
    told = done.stderr.decode()
    assert "UTF-8 (detected), delimiter comma (detected), column “评论”" in told
    for word in ("positive", "negative", "(empty)", "█", "南山店", "福田店", "mean score", "out.csv"):
        assert word in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "reviews.csv"]


def test_the_summary_is_json_for_a_program(reviews: Path, live_url: str, tmp_path: Path) -> None:
    done = sentiq(tmp_path, live_url, "score", reviews.name, "-c", "评论", "--by", "店铺", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["scored"], summary["empty"], summary["failed"]) == (4, 3, 1, 0)
    assert sum(each["rows"] for each in summary["labels"]) == 3
    assert [(each["value"], each["rows"]) for each in summary["groups"]] == [("福田店", 2), ("南山店", 2)]
    assert summary["output"].endswith("reviews-scored.csv")
    assert len(summary["jobs"]) == 1


@pytest.mark.parametrize(
    ("codec", "delimiter", "newline"),
    [("gb18030", ";", "\r\n"), ("utf-8-sig", "\t", "\n"), ("utf-16", ",", "\n")],
)
def test_the_output_has_the_encoding_and_the_delimiter_of_the_input(
    codec: str, delimiter: str, newline: str, live_url: str, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "in.csv", some_rows(9), codec, delimiter=delimiter, lineterminator=newline)
    done = sentiq(tmp_path, live_url, "score", "in.csv", "-c", "评论", "-o", "out.csv")
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "out.csv").read_bytes()
    assert content[:3] == path.read_bytes()[:3]
    after = read_rows(content, codec, delimiter)
    assert [row[:3] for row in after[1:]] == some_rows(9)
    assert content.decode(codec).count(newline) == 10


def test_standard_input_goes_to_standard_output(reviews: Path, live_url: str, tmp_path: Path) -> None:
    whole = sentiq(tmp_path, live_url, "score", "reviews.csv", "-c", "评论", "-o", "out.csv")
    piped = sentiq(tmp_path, live_url, "score", "-", "-c", "评论", stdin=reviews.read_bytes())
    assert (whole.returncode, piped.returncode) == (0, 0), piped.stderr
    assert piped.stdout == (tmp_path / "out.csv").read_bytes()
    lines = sentiq(
        tmp_path, live_url, "score", "-", "-c", "评论", "--to", "jsonl", stdin=reviews.read_bytes()
    )
    assert [json.loads(line)["编号"] for line in lines.stdout.splitlines()] == ["0", "1", "2", "3"]
    assert not list((tmp_path / ".local" / "state" / "sentiq").iterdir())


def test_lines_are_scored_too(live_url: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text":"很好","n":1.50}\n[1]\n{"n":2}\n', encoding="utf-8")
    done = sentiq(tmp_path, live_url, "score", "in.jsonl", "-o", "out.jsonl")
    assert done.returncode == 1, "a row could not be read"
    first, second, third = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    assert first.startswith('{"text":"很好","n":1.50, "label": "positive", ')
    assert json.loads(second)["error"] == "invalid_line"
    assert json.loads(third) == {"n": 2, "label": None, "confidence": None, "score": None, "error": None}


def test_a_row_that_cannot_be_scored_fails_alone(live_url: str, tmp_path: Path) -> None:
    write_rows(
        tmp_path / "in.csv", [["1", "很好", ""], ["2", "长" * 10_001, ""], ["3", "\x00\x01", ""], ["4"]]
    )
    done = sentiq(tmp_path, live_url, "score", "in.csv", "-c", "评论", "-o", "out.csv")
    assert done.returncode == 1, done.stderr
    errors = [row[6] for row in read_rows((tmp_path / "out.csv").read_bytes())[1:]]
    assert errors[0] == ""
    assert errors[1] == "text_too_long"
    assert errors[3] == "invalid_row"
    assert "text_too_long" in done.stderr.decode()


@pytest.mark.usefixtures("reviews")
def test_new_columns_have_the_names_that_are_asked_for(live_url: str, tmp_path: Path) -> None:
    options = ["--label-name", "情感", "--score-name", "分"]
    done = sentiq(tmp_path, live_url, "score", "reviews.csv", "-c", "评论", "-o", "out.csv", *options)
    assert done.returncode == 0, done.stderr
    assert read_rows((tmp_path / "out.csv").read_bytes())[0][3:] == ["情感", "confidence", "分", "error"]
    again = sentiq(tmp_path, live_url, "score", "out.csv", "-c", "评论", "-o", "again.csv")
    assert again.returncode == 0, again.stderr
    added = ["label", "sentiq_confidence", "score", "sentiq_error"]
    assert read_rows((tmp_path / "again.csv").read_bytes())[0][7:] == added
    taken = sentiq(
        tmp_path, live_url, "score", "out.csv", "-c", "评论", "-o", "taken.csv", "--label-name", "情感"
    )
    assert taken.returncode == 2
    assert "--label-name 情感_2" in taken.stderr.decode()


REFUSED = {
    "no such column": (
        ["in.csv", "-c", "text"],
        3,
        "Name one of these with --column: “编号”, “评论”, “店铺”",
    ),
    "no such group": (["in.csv", "-c", "评论", "--by", "城市"], 3, "with --by"),
    "no such file": (["none.csv"], 3, "none.csv cannot be read: No such file"),
    "another format": (["in.docx"], 3, "--format"),
    "the input as output": (["in.csv", "-c", "评论", "-o", "./in.csv"], 2, "The output is the input"),
    "an output that exists": (["in.csv", "-c", "评论", "-o", "old.csv"], 2, "--overwrite"),
    "an output without a folder": (["in.csv", "-c", "评论", "-o", "none/out.csv"], 3, "cannot be written"),
    "two writers of standard output": (
        ["in.csv", "-c", "评论", "-o", "-", "--json"],
        2,
        "Name a file with -o",
    ),
    "an encoding nobody knows": (["in.csv", "-c", "评论", "--encoding", "klingon"], 3, "Use utf-8"),
    "a delimiter of two": (["in.csv", "-c", "评论", "--delimiter", "::"], 3, "not one ASCII character"),
    "a folder as output": (["in.csv", "-c", "评论", "-o", "."], 2, "is a folder"),
    "a model that is not there": (["in.csv", "-c", "评论", "--model", "nobody"], 4, "sentiq-zh-small"),
}


@pytest.mark.parametrize(("arguments", "code", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_says_what_to_do(
    arguments: list[str], code: int, told: str, live_url: str, tmp_path: Path
) -> None:
    write_rows(tmp_path / "in.csv", some_rows(2))
    (tmp_path / "in.docx").write_bytes(b"x")
    (tmp_path / "old.csv").write_bytes(b"old")
    done = sentiq(tmp_path, live_url, "score", *arguments)
    assert (done.returncode, told in done.stderr.decode()) == (code, True), done.stderr.decode()
    assert (tmp_path / "old.csv").read_bytes() == b"old"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.refused])
def test_a_damaged_file_is_refused_before_anything_is_sent(
    name: str, live_url: str, http: httpx2.Client, tmp_path: Path
) -> None:
    case, before = CASES[name], runs(http)
    (tmp_path / case.file).write_bytes(case.content)
    done = sentiq(tmp_path, live_url, "score", case.file, "-c", case.column or "")
    assert (done.returncode, case.refused in done.stderr.decode()) == (3, True), done.stderr
    assert runs(http) == before


def test_a_quote_that_is_never_closed_is_told_with_its_line(live_url: str, tmp_path: Path) -> None:
    (tmp_path / UNCLOSED.file).write_bytes(UNCLOSED.content)
    done = sentiq(tmp_path, live_url, "score", UNCLOSED.file)
    assert (done.returncode, UNCLOSED.refused in done.stderr.decode()) == (3, True), done.stderr


def test_a_service_that_is_down_is_told_with_what_to_do(reviews: Path, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = sentiq(tmp_path, url, "score", reviews.name, "-c", "评论")
    assert (done.returncode, "Is the service running?" in done.stderr.decode()) == (4, True), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reviews.csv"]


# -- cuts


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_without_a_terminal_a_signal_detaches_and_the_same_command_goes_on(
    signum: signal.Signals, live_url: str, http: httpx2.Client, tmp_path: Path
) -> None:
    write_rows(tmp_path / "in.csv", some_rows(3000))
    before = runs(http)
    arguments = ["score", "in.csv", "-c", "评论", "-o", "out.csv"]
    process = started(tmp_path, live_url, *arguments)
    state = tmp_path / "out.csv.sentiq.json"
    eventually(lambda: state.exists() and json.loads(state.read_text("utf-8"))["segments"][0]["job"])
    process.send_signal(signum)
    _, told = process.communicate(timeout=30)
    assert (process.returncode, shlex.join(["sentiq", *arguments]) in told.decode()) == (130, True), told
    assert not (tmp_path / "out.csv").exists()
    for path in (state, tmp_path / "out.csv.sentiq.verdicts"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "味道" not in path.read_text("utf-8")
    other = sentiq(tmp_path, live_url, *arguments, "--model", "nobody")
    assert (other.returncode, "began with model unset" in other.stderr.decode()) == (2, True), other.stderr
    again = sentiq(tmp_path, live_url, *arguments)
    assert again.returncode == 0, again.stderr
    added = {job: items for job, items in runs(http).items() if job not in before}
    assert list(added.values()) == [2000]
    undisturbed = sentiq(tmp_path, live_url, *arguments[:-1], "whole.csv")
    assert undisturbed.returncode == 0
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_a_run_whose_input_changed_is_refused_until_it_begins_anew(
    live_url: str, http: httpx2.Client, tmp_path: Path
) -> None:
    write_rows(tmp_path / "in.csv", some_rows(3000))
    arguments = ["score", "in.csv", "-c", "评论", "-o", "out.csv"]
    process = started(tmp_path, live_url, *arguments)
    state = tmp_path / "out.csv.sentiq.json"
    eventually(lambda: state.exists() and json.loads(state.read_text("utf-8"))["segments"][0]["job"])
    job = json.loads(state.read_text("utf-8"))["segments"][0]["job"]
    process.kill()
    process.communicate()
    write_rows(tmp_path / "in.csv", [*some_rows(3000)[:-1], ["x", "别的", ""]])
    done = sentiq(tmp_path, live_url, *arguments)
    assert (done.returncode, "The input has changed" in done.stderr.decode()) == (3, True), done.stderr
    anew = sentiq(tmp_path, live_url, *arguments, "--restart")
    assert anew.returncode == 0, anew.stderr
    assert read_rows((tmp_path / "out.csv").read_bytes())[-1][:2] == ["x", "别的"]
    assert http.get(f"/v1/jobs/{job}").json()["status"] in ("canceled", "succeeded")


def test_two_runs_with_one_output_do_not_mix(live_url: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "in.csv", some_rows(3000))
    arguments = ["score", "in.csv", "-c", "评论", "-o", "out.csv"]
    first = started(tmp_path, live_url, *arguments)
    eventually((tmp_path / "out.csv.sentiq.json").exists)
    second = sentiq(tmp_path, live_url, *arguments)
    assert (second.returncode, "Another run writes out.csv" in second.stderr.decode()) == (3, True), (
        second.stderr
    )
    _, told = first.communicate(timeout=90)
    assert first.returncode == 0, told


@pytest.mark.parametrize(("answer", "status"), [("c", "canceled"), ("d", "succeeded")])
def test_on_a_terminal_ctrl_c_asks(
    answer: str, status: str, live_url: str, http: httpx2.Client, tmp_path: Path
) -> None:
    write_rows(tmp_path / "in.csv", some_rows(6000))
    before = runs(http)
    terminal, end = pty.openpty()
    process = started(tmp_path, live_url, "score", "in.csv", "-c", "评论", "-o", "out.csv", terminal=end)
    os.close(end)
    state, shown = tmp_path / "out.csv.sentiq.json", b""
    while b"/s" not in shown or b"scoring" not in shown:
        shown += os.read(terminal, 4096)
    process.send_signal(signal.SIGINT)
    while b"[d]" not in shown:
        shown += os.read(terminal, 4096)
    os.write(terminal, answer.encode() + b"\n")
    assert process.wait(30) == 130
    os.close(terminal)
    (job,) = set(runs(http)) - set(before)
    eventually(lambda: http.get(f"/v1/jobs/{job}").json()["status"] == status, within_s=60)
    assert state.exists() is (answer == "d")
    assert not (tmp_path / "out.csv").exists()


# -- files and services that fail


ARGUMENTS = ("score", "in.csv", "-c", "评论", "-o", "out.csv")


def test_a_disk_that_is_full_is_told_and_the_run_goes_on(
    live_url: str, http: httpx2.Client, tmp_path: Path
) -> None:
    write_rows(tmp_path / "in.csv", some_rows(3000))
    before = runs(http)
    for kilobytes in (30, 100):  # the journal, then the output too
        done = limited(tmp_path, live_url, kilobytes, *ARGUMENTS)
        assert (done.returncode, b"give the same command" in done.stderr) == (3, True), done.stderr
    again = sentiq(tmp_path, live_url, *ARGUMENTS)
    assert again.returncode == 0, again.stderr
    assert [row[:3] for row in read_rows((tmp_path / "out.csv").read_bytes())[1:]] == some_rows(3000)
    assert len(runs(http).keys() - before) == 1


def test_a_standard_output_that_is_full_is_told(reviews: Path, live_url: str, tmp_path: Path) -> None:
    shell = 'exec "$0" -m sentiq.command score - -c 评论 >/dev/full'
    done = subprocess.run(
        ["/bin/bash", "-c", shell, sys.executable],
        cwd=tmp_path,
        env=environment(tmp_path, live_url),
        input=reviews.read_bytes(),
        stderr=subprocess.PIPE,
        timeout=100,
        check=False,
    )
    assert (done.returncode, b"No space left" in done.stderr) == (3, True), done.stderr


@pytest.fixture
def fetched(live_url: str, http: httpx2.Client, tmp_path: Path) -> Path:
    """The folder of a run that has all verdicts but could not write its output; its job is deleted."""
    write_rows(tmp_path / "in.csv", some_rows(30))
    (tmp_path / "out.csv.sentiq.part").mkdir()
    done = sentiq(tmp_path, live_url, *ARGUMENTS)
    assert (done.returncode, b"Is a directory" in done.stderr) == (3, True), done.stderr
    (tmp_path / "out.csv.sentiq.part").rmdir()
    job = json.loads((tmp_path / "out.csv.sentiq.json").read_text("utf-8"))["segments"][0]["job"]
    assert http.delete(f"/v1/jobs/{job}").status_code == 204
    return tmp_path


def test_a_run_that_has_all_verdicts_needs_its_job_no_more(fetched: Path, live_url: str) -> None:
    done = sentiq(fetched, live_url, *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    assert len(read_rows((fetched / "out.csv").read_bytes())) == 31


def test_a_journal_that_was_cut_off_is_told(fetched: Path, live_url: str) -> None:
    (fetched / "out.csv.sentiq.verdicts").unlink()
    done = sentiq(fetched, live_url, *ARGUMENTS)
    assert (done.returncode, b"has lost verdicts" in done.stderr) == (3, True), done.stderr
    anew = sentiq(fetched, live_url, *ARGUMENTS, "--restart")
    assert anew.returncode == 0, anew.stderr


def test_a_file_of_that_name_which_is_not_ours_stays(reviews: Path, live_url: str, tmp_path: Path) -> None:
    (tmp_path / "out.csv.part").write_bytes(b"a download")
    done = sentiq(tmp_path, live_url, "score", reviews.name, "-c", "评论", "-o", "out.csv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.csv.part").read_bytes() == b"a download"


def test_names_with_brackets_are_shown_as_they_are(live_url: str, tmp_path: Path) -> None:
    (tmp_path / "[red]a.csv").write_text("[/i]:smile:\n很好\n", encoding="utf-8")
    done = sentiq(tmp_path, live_url, "score", "[red]a.csv", "-o", "[b]out.csv")
    assert done.returncode == 0, done.stderr
    for name in ("[red]a.csv: ", "“[/i]:smile:”", "[b]out.csv"):
        assert name in done.stderr.decode()


def test_a_pipe_with_a_name_is_refused_with_what_to_do(live_url: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.csv")
    done = sentiq(tmp_path, live_url, *ARGUMENTS)
    assert (done.returncode, b"give - as the file" in done.stderr) == (3, True), done.stderr


def test_a_service_that_wants_to_be_left_alone_for_an_hour_is_not_asked_again(
    reviews: Path, live_url: str, http: httpx2.Client, tmp_path: Path
) -> None:
    problem = json.dumps({"code": "quota_exceeded", "detail": "Not today."}).encode()
    info = Plan(answer=response("200 OK", http.get("/v1/info").content))
    refusal = Plan(answer=response("429 Too Many Requests", problem, retry_after="3600"))
    with proxied(live_url, info, info, refusal) as proxy:
        done = sentiq(tmp_path, proxy.url, "score", reviews.name, "-c", "评论", "-o", "out.csv")
        assert (done.returncode, b"quota_exceeded" in done.stderr) == (4, True), done.stderr
        assert len(proxy.received) == 3


def test_ctrl_c_behind_the_end_leaves_nothing_to_go_on_with(live_url: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "in.csv", some_rows(900))
    process = started(tmp_path, live_url, *ARGUMENTS, "--json", "--by", "编号")
    left = tmp_path / "out.csv.sentiq.verdicts"
    # The summary is longer than a pipe, so the command is still there.
    eventually(lambda: (tmp_path / "out.csv").exists() and not left.exists())
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert (process.returncode, b"Detached" in told) == (130, False), told


def test_runs_that_come_and_go_never_share_their_files(tmp_path: Path) -> None:
    places, mixed, inside = Places.beside(tmp_path / "out.csv"), [], threading.Lock()

    def come_and_go() -> None:
        for number in range(300):
            try:
                run = Run(places)
            except InputError:
                continue
            if not inside.acquire(blocking=False):
                mixed.append(number)
                return
            if number % 2:
                run.begin(State({}, {}))
                if not places.state.exists():
                    mixed.append(number)
            inside.release()  # another run may begin as soon as the journal of this one is gone
            if number % 2:
                run.remove()
            run.leave()

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mixed == []
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_came_meanwhile_is_not_replaced(live_url: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "in.csv", some_rows(3000))
    cut = limited(tmp_path, live_url, 30, *ARGUMENTS)
    assert cut.returncode == 3, cut.stderr
    (tmp_path / "out.csv").write_bytes(b"of somebody else")
    for more in ([], ["--restart"]):
        done = sentiq(tmp_path, live_url, *ARGUMENTS, *more)
        assert (done.returncode, b"exists already" in done.stderr) == (2, True), done.stderr
    assert (tmp_path / "out.csv").read_bytes() == b"of somebody else"
    replaced = sentiq(tmp_path, live_url, *ARGUMENTS, "--overwrite")
    assert replaced.returncode == 0, replaced.stderr
    assert len(read_rows((tmp_path / "out.csv").read_bytes())) == 3001


# -- several jobs


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service whose jobs have at most 2,000 items."""
    folder = tmp_path_factory.mktemp("small")
    with started_stack(folder, SENTIMENT_MAX_UPLOAD_ITEMS="2000", SENTIMENT_CACHE_ROWS="1000") as stack:
        yield stack


@pytest.mark.parametrize("texts", [1999, 2000, 2001, 4000])
def test_more_texts_than_a_job_may_have_become_several(texts: int, small: Stack, tmp_path: Path) -> None:
    rows = [[str(n), "好" if n % 7 else "差", ""] for n in range(texts)]
    write_rows(tmp_path / "in.csv", rows)
    done = sentiq(tmp_path, small.url, "score", "in.csv", "-c", "评论", "-o", "out.csv", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["scored"], len(summary["jobs"])) == (texts, -(-texts // 2000))
    after = read_rows((tmp_path / "out.csv").read_bytes())[1:]
    assert [row[:3] for row in after] == rows
    assert len({(row[1], row[3], row[4]) for row in after}) == 2
