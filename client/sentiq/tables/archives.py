"""The archive of a workbook: refused before it is parsed if it would inflate to far more than it is."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path
from typing import IO, Any

from sentiq.tables.source import Source
from sentiq.tables.table import TableError

# A sheet of 1,048,576 rows with twenty columns has about 1 GiB of XML, a tenth of it when packed.
_MAX_INFLATED = 4 * 2**30
_MAX_RATIO = 200
_RATIO_FROM = 16 * 2**20
_MAX_ENTRIES = 10_000
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*(<)")


def check_archive(source: Source) -> None:
    """Raise TableError unless the source is the archive of a workbook that is safe to parse.

    The sizes that the archive names bound what it inflates to: zipfile reads no further.
    """
    with source.open() as file:
        if file.read(4) == _OLD_OFFICE:
            raise TableError(
                f"{source.name} is an old .xls, or has a password. Save it as .xlsx without a password."
            )
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                _check_sizes(source.name, entries)
                _check_xml(source.name, archive, entries)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise TableError(
                f"{source.name} is no workbook: {error}. Save it as .xlsx anew, or as CSV."
            ) from None


def _check_sizes(name: str, entries: list[zipfile.ZipInfo]) -> None:
    inflated = sum(entry.file_size for entry in entries)
    bomb = any(
        entry.file_size > _RATIO_FROM and entry.file_size > _MAX_RATIO * max(1, entry.compress_size)
        for entry in entries
    )
    if bomb or inflated > _MAX_INFLATED or len(entries) > _MAX_ENTRIES:
        raise TableError(
            f"{name} would inflate to {inflated:,} bytes: a file like that may be an attack. "
            "If it is yours, save the sheet as CSV."
        )


def _check_xml(name: str, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse entities, which no spreadsheet writes, and which may grow without bound too."""
    for entry in entries:
        if entry.filename.endswith((".xml", ".rels")):
            with archive.open(entry) as file:
                if b"<!DOCTYPE" in file.read(4096).replace(b"\0", b""):
                    raise TableError(
                        f"{name} declares entities in {entry.filename}. Save it as .xlsx anew, or as CSV."
                    )


class SteadyArchive(zipfile.ZipFile):
    """An archive without times: the same workbook makes the same bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        """Write to an open file."""
        super().__init__(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True)

    def writestr(self, zinfo_or_arcname: Any, data: Any, *_: Any, **__: Any) -> None:
        """Add an entry with this content, without the time of its change."""
        content = data.encode() if isinstance(data, str) else data
        if zinfo_or_arcname == "docProps/core.xml":
            content = _MODIFIED.sub(rb"\g<1>1980-01-01T00:00:00Z\g<2>", content)
        super().writestr(self._entry(zinfo_or_arcname), content)

    def write(self, filename: Any, arcname: Any = None, *_: Any, **__: Any) -> None:
        """Add a file."""
        entry = self._entry(arcname)
        with Path(filename).open("rb") as source, self.open(entry, "w", force_zip64=True) as to:
            shutil.copyfileobj(source, to, 1024 * 1024)

    @staticmethod
    def _entry(name: str) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(name, _FIXED_TIME)
        entry.compress_type = zipfile.ZIP_DEFLATED
        return entry
