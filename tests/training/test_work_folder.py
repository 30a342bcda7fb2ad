"""The folder of a run: what stays, what goes with other inputs, and that one run has it at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from training.work_folder import (
    WorkFolderError,
    locked,
    require_outside,
    work_folder,
    write_json,
    write_table,
)

RESULTS = ("state.pt", "best.pt", "figures.json", "doubtful.csv", "labels.json", "source/model.safetensors")


def filled(out: Path) -> Path:
    """Return the folder of a run with all that runs write, and a file of somebody else."""
    folder = work_folder(out, {"seed": 1})
    for name in (*RESULTS, "notes.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("kept")
    return folder


def test_the_same_inputs_keep_everything(tmp_path: Path) -> None:
    folder = filled(tmp_path / "mine")
    work_folder(tmp_path / "mine", {"seed": 1})
    assert all((folder / name).exists() for name in RESULTS)


@pytest.mark.parametrize("damaged", [False, True])
def test_other_inputs_leave_nothing_of_the_results(damaged: bool, tmp_path: Path) -> None:  # noqa: FBT001
    folder = filled(tmp_path / "mine")
    if damaged:
        (folder / "inputs.json").write_text("{", "utf-8")
    work_folder(tmp_path / "mine", {"seed": 1 if damaged else 2})
    assert sorted(path.name for path in folder.iterdir()) == ["inputs.json", "notes.txt"]


def test_one_run_at_a_time_has_a_folder(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "mine"):
            refused = pytest.raises(
                WorkFolderError, match=r"mine\.work: in use by another run with --out .*mine"
            )
            with refused, locked(tmp_path / "mine"):
                pass
            with locked(tmp_path / "other"):
                pass


@pytest.mark.parametrize("out", [".", "..", "/", "models/.."])
def test_an_out_without_a_name_is_refused(out: str) -> None:
    with pytest.raises(WorkFolderError, match="expected the name of a directory"):
        work_folder(Path(out), {})


def test_an_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.csv").touch()
    with pytest.raises(WorkFolderError, match="is a file"):
        work_folder(tmp_path / "own.csv", {})
    assert [path.name for path in tmp_path.iterdir()] == ["own.csv"]


def test_what_a_run_reads_must_not_lie_where_it_writes(tmp_path: Path) -> None:
    folder = tmp_path / "mine.work"
    require_outside(folder, [tmp_path / "mine", tmp_path, Path("iic/nlp_structbert")])
    for name in ("source", "../mine.work/doubtful.csv", "."):
        with pytest.raises(WorkFolderError, match=r"lies in .*mine\.work, which the run writes"):
            require_outside(folder, [tmp_path / "own.csv", folder / name])


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[str, int]]:
        yield "a row", 1
        raise ValueError("a row cannot be computed")

    write_table(tmp_path / "doubtful.csv", ("text", "line"), [("=1+1", 2)])
    with pytest.raises(ValueError, match="a row"):
        write_table(tmp_path / "doubtful.csv", ("text", "line"), broken())
    with pytest.raises(TypeError):
        write_json(tmp_path / "figures.json", {"figure": object()})
    assert (tmp_path / "doubtful.csv").read_bytes() == b"\xef\xbb\xbftext,line\r\n'=1+1,2\r\n"
    assert [path.name for path in tmp_path.iterdir()] == ["doubtful.csv"]
