"""The encoding of a file of text: UTF-8, UTF-16 or GB18030, by its bytes."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import IO

from sentiq.tables.source import Source
from sentiq.tables.table import TableError

_BLOCK = 1024 * 1024
_SAMPLE = 64 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# GB18030 reads what GBK and GB2312 read, and more.
_WIDER = {"gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030", "ascii": "utf-8"}


@dataclass(frozen=True)
class Encoding:
    """A codec by its Python name, and the byte order mark that the file begins with."""

    codec: str
    bom: bytes = b""
    detected: bool = True

    @property
    def about(self) -> str:
        """Return the encoding as a person is told it."""
        mark = " with a byte order mark" if self.bom else ""
        return f"{self.codec.upper()}{mark}" + (" (detected)" if self.detected else "")

    @property
    def errors(self) -> str:
        """Return how undecodable bytes are read: kept, so that only their row fails."""
        return "strict" if self.codec.startswith("utf-16") else "surrogateescape"

    def reader(self, source: Source) -> io.TextIOWrapper:
        """Return the text of the source behind its byte order mark, with line ends as they are."""
        file = source.open()
        file.seek(len(self.bom))
        return io.TextIOWrapper(file, self.codec, self.errors, newline="")

    def writer(self, file: IO[bytes]) -> io.TextIOWrapper:
        """Return a writer that begins with the byte order mark and writes line ends as given."""
        file.write(self.bom)
        return io.TextIOWrapper(file, self.codec, self.errors, newline="")


def encoding_of(source: Source, given: str | None) -> Encoding:
    """Return the encoding that was given, or else that of the bytes. Raises TableError."""
    with source.open() as file:
        head = file.read(_BLOCK)
    if not head:
        raise TableError(f"{source.name} is empty. Give a file with a header and at least one row.")
    if given:
        return _named(given, head)
    for bom, codec in _BOMS:
        if head.startswith(bom):
            return Encoding(codec, bom)
    return Encoding(_sixteen_bits(head) or _by_trial(source, head))


def has_undecodable(text: str) -> bool:
    """Return whether a text holds bytes that could not be decoded."""
    return not text.isascii() and any("\udc80" <= each <= "\udcff" for each in text)


def _named(given: str, head: bytes) -> Encoding:
    try:
        codec = codecs.lookup(given).name
        "".encode(codec)
    except LookupError:
        raise TableError(
            f"--encoding {given} is not known. Use utf-8, utf-16, gb18030 or another name of Python's codecs."
        ) from None
    codec = _WIDER.get(codec, codec)
    if codec == "utf-16":
        codec = "utf-16-be" if head.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
    if codec == "utf-8-sig":
        codec = "utf-8"
    bom = next((bom for bom, name in _BOMS if name == codec and head.startswith(bom)), b"")
    return Encoding(codec, bom, detected=False)


def _sixteen_bits(head: bytes) -> str:
    """Return the UTF-16 of a head without a byte order mark, empty if it is none.

    Most bytes of a line end are then beside a zero byte, always on the same side.
    """
    if b"\0" not in head:
        return ""
    sample = head[:_SAMPLE]
    pairs = list(zip(sample[::2], sample[1::2], strict=False))
    for codec, end in (("utf-16-le", (0x0A, 0)), ("utf-16-be", (0, 0x0A))):
        if pairs.count(end) * 2 > sample.count(b"\n"):
            return codec
    return ""


def _by_trial(source: Source, head: bytes) -> str:
    """Return the first codec that reads the whole file. Raises TableError with the line of the fault."""
    bad_line = _line_of_fault(source, "utf-8")
    if not bad_line:
        return "utf-8"
    if not _line_of_fault(source, "gb18030"):
        return "gb18030"
    if b"\0" in head:
        raise TableError(
            f"{source.name} has zero bytes and is no UTF-16: it is no text. "
            "Save it as CSV in UTF-8, or give it the suffix .xlsx or .parquet if it is such a file."
        )
    raise TableError(
        f"{source.name} is neither UTF-8 nor GB18030: line {bad_line} is no UTF-8. Name its encoding, "
        "--encoding utf-8 for instance: rows that it cannot read then keep their bytes and are not scored."
    )


def _line_of_fault(source: Source, codec: str) -> int:
    """Return the line, from 1, that the codec cannot read; 0 if it reads all of them."""
    decoder, line = codecs.getincrementaldecoder(codec)(), 1
    with source.open() as file:
        while True:
            block = file.read(_BLOCK)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return line + bytes(error.object[: error.start]).count(b"\n")
            if not block:
                return 0
            line += block.count(b"\n")
