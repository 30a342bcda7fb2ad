"""The wheel of `make client` holds the package alone, and works without the service's code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from local.processes import ROOT
from local.stack import Stack


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT / "client")], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_it_holds_the_package_its_types_and_its_licence(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    assert {"sentiq/__init__.py", "sentiq/client.py", "sentiq/py.typed"} <= names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"sentiq"}
    metadata = next(name for name in names if name.endswith("/METADATA"))
    assert "Requires-Python: >=3.10" in ZipFile(wheel).read(metadata).decode()
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_it_works_alone(wheel: Path, live: Stack, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        "import sentiq, sys; print(sentiq.__file__, sentiq.Sentiq(sys.argv[1]).score('服务很贴心').label)"
    )
    command = [sys.executable, "-c", program, live.url]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(tmp_path / "sentiq" / "__init__.py"), "positive"]
