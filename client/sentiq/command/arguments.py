"""The options of the command."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter, _SubParsersAction

from sentiq.tables.formats import FORMATS
from sentiq.tables.table import ADDED

_CODES = """\
exit codes:
  0    done
  1    score: the output is whole, and some rows have an error in place of a verdict
  2    the options are wrong, or do not fit the files
  3    a file cannot be read or written, or is not the one that the run began with
  4    the service cannot be reached or refuses, or a job is gone
  70   a defect of the command, with a traceback
  130  interrupted: detached or canceled

SENTIQ_URL and SENTIQ_API_KEY name the service, or a profile in ~/.config/sentiq/profile.toml does.
"""


def parser() -> ArgumentParser:
    """Return the parser of the whole command; `command` is the name of the subcommand."""
    parser = ArgumentParser(
        prog="sentiq",
        description="Scores the sentiment of Chinese text with a Sentiq service.",
        epilog=_CODES,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_score(subparsers)
    _add_jobs(subparsers)
    for name, what in (
        ("models", "list the models"),
        ("info", "show the models, limits and options of the service"),
        ("queue", "show the backlog and the workers"),
    ):
        _service(subparsers, name, what)
    completion = subparsers.add_parser("completion", help="print the completion script of a shell")
    completion.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    return parser


def _service(subparsers: _SubParsersAction[ArgumentParser], name: str, what: str) -> ArgumentParser:
    """Add a subcommand that calls the service."""
    parser = subparsers.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    parser.add_argument("--url", help="the service (SENTIQ_URL, else http://localhost:8000)")
    parser.add_argument("--profile", metavar="NAME", help="a profile of the profile file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_jobs(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    jobs = _service(subparsers, "jobs", "list your jobs, newest first")
    jobs.add_argument("--limit", type=int, default=20, metavar="N", help="at most N jobs (%(default)s)")
    jobs.add_argument("--status", help="only jobs in this state, such as running")
    for name, what in (("show", "show a job and how far it is"), ("cancel", "stop scoring a job")):
        _service(subparsers, name, what).add_argument("id", metavar="ID", help="the job, job_…")
    usage = _service(subparsers, "usage", "show how many texts you had scored")
    usage.add_argument(
        "--from", dest="since", metavar="DATE", help="the first day in UTC, such as 2026-11-01 (30 days ago)"
    )
    usage.add_argument("--to", dest="until", metavar="DATE", help="the last day (today)")
    usage.add_argument("--by", choices=["day", "model"], default="day", help="(%(default)s)")


def _add_score(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    score = _service(subparsers, "score", "score a column of a table, and write the table with the verdicts")
    score.add_argument("file", metavar="FILE", help="CSV, TSV, JSONL, XLSX or Parquet; - is standard input")
    score.add_argument("-c", "--column", help="the column of the text (text, or the only column)")
    score.add_argument("-o", "--output", metavar="FILE", help="(FILE-scored.csv); - is standard output")
    score.add_argument("--model", help="a model of the service, see sentiq models")
    score.add_argument("--by", metavar="COLUMN", help="also summarize by the values of a column")
    score.add_argument("--restart", action="store_true", help="cancel the run that was cut, and begin anew")
    score.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    reading = score.add_argument_group("how the table is read and written")
    reading.add_argument(
        "--format", choices=FORMATS, help="of the input (by its suffix; csv of standard input)"
    )
    reading.add_argument(
        "--to", choices=FORMATS, help="format of the output (by its suffix, else that of the input)"
    )
    reading.add_argument("--encoding", help="of the input (detected): utf-8, utf-16, gb18030, …")
    reading.add_argument(
        "--delimiter", help="of the input (detected): comma, semicolon, tab, bar or a character"
    )
    reading.add_argument("--sheet", help="of a workbook (the first that has the column)")
    reading.add_argument(
        "--excel",
        action="store_true",
        help="write what spreadsheets open and run safely: formulas become texts",
    )
    names = score.add_argument_group("the columns that are added")
    for name in ADDED:
        names.add_argument(
            f"--{name}-name", metavar="NAME", help=f"({name}, or sentiq_{name} if there is a column {name})"
        )
