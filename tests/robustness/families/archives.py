"""Archives that lie: about names, kinds, sizes and their own structure."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from core.dicom.zip_archive import extract_dicom_archive
from core.errors import CSpineError
from tests.robustness.verdicts import SEED, Family, Verdict, judged

LIMIT: Final = 32 << 20
ENTRIES: Final = 100_000
INSIDE: Final = b"DICOM-like content " * 20

NAMES: Final = (
    "../escape.dcm", "../../escape.dcm", "a/../../escape.dcm", "a/b/../../../escape.dcm",
    "/tmp/escape.dcm", "//escape.dcm", "\\escape.dcm", "..\\escape.dcm", "a\\..\\..\\escape.dcm",
    "C:\\escape.dcm", "C:/escape.dcm", "c:escape.dcm", "\\\\server\\share\\escape.dcm",
    "./../escape.dcm", "a/./../../escape.dcm", "..", ".", "/", "a//../../escape.dcm",
)  # fmt: skip
"""Names that would leave the folder, or name no file."""
ODD: Final = (
    "a" * 300 + ".dcm", "/".join("d" * 200 for _ in range(30)) + "/1.dcm", "naïve/ö.dcm",
    "line\nbreak.dcm", "tab\t.dcm", "\x01\x02.dcm", " .dcm", "-rf.dcm", "$(touch escape).dcm",
    "con.dcm", "a:b.dcm", "x/…/1.dcm", "\u202egpj.dcm", "~/1.dcm", "%2e%2e/1.dcm", "a/.../b.dcm",
)  # fmt: skip
"""Names that are strange but stay inside, or cannot be written."""


def _zip(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return stream.getvalue()


def _linked(kind: int, target: str) -> bytes:
    link = zipfile.ZipInfo("link")
    link.create_system = 3
    link.external_attr = (kind | 0o777) << 16
    return _zip((link, target.encode()), ("link/escape.dcm", INSIDE))


def _many() -> bytes:
    return _zip(*((f"{k}.dcm", b"") for k in range(ENTRIES)))


def _bomb(levels: int) -> bytes:
    """Zeros that pack a thousandfold; more levels pack the pack."""
    content = _zip(("1.dcm", bytes(256 << 20)), method=zipfile.ZIP_DEFLATED)
    for _ in range(levels):
        content = _zip(("inner.zip", content), ("1.dcm", INSIDE), method=zipfile.ZIP_DEFLATED)
    return content


def _overlapping() -> bytes:
    """Every entry of the directory names the same packed bytes."""
    whole = _zip(("0.dcm", bytes(8 << 20)), method=zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        start = archive.start_dir
    entry = whole[start : whole.index(b"PK\x05\x06")]
    count = 64
    directory = entry * count
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)
    return whole[:start] + directory + end


def _lying_size() -> bytes:
    """The directory claims one byte; the entry has more than may be unpacked."""
    whole = bytearray(_zip(("1.dcm", bytes(64 << 20)), method=zipfile.ZIP_DEFLATED))
    place = whole.rindex(b"PK\x01\x02")
    whole[place + 24 : place + 28] = struct.pack("<L", 1)
    return bytes(whole)


def _greedy_lzma() -> bytes:
    """An LZMA entry whose dictionary would take 4 GiB."""
    whole = bytearray(_zip(("1.dcm", bytes(1 << 16)), method=zipfile.ZIP_LZMA))
    place = whole.index(b"1.dcm") + 5 + 4
    whole[place + 1 : place + 5] = b"\xff\xff\xff\xff"
    return bytes(whole)


def _encrypted() -> bytes:
    whole = bytearray(_zip(("1.dcm", INSIDE)))
    whole[6] |= 1
    whole[whole.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(whole)


def _twice() -> bytes:
    return _zip(("1.dcm", INSIDE), ("./1.dcm", b"other"))


def _file_as_folder() -> bytes:
    return _zip(("1.dcm", INSIDE), ("1.dcm/2.dcm", INSIDE))


MADE: Final[dict[str, Callable[[], bytes]]] = {
    "symlink": lambda: _linked(stat.S_IFLNK, ".."),
    "absolute symlink": lambda: _linked(stat.S_IFLNK, "/tmp"),
    "device": lambda: _linked(stat.S_IFCHR, ""),
    "pipe": lambda: _linked(stat.S_IFIFO, ""),
    "10^5 entries": _many,
    "bomb": lambda: _bomb(0),
    "bomb in a bomb": lambda: _bomb(2),
    "overlapping entries": _overlapping,
    "lying size": _lying_size,
    "greedy LZMA": _greedy_lzma,
    "bzip2 bomb": lambda: _zip(("1.dcm", bytes(64 << 20)), method=zipfile.ZIP_BZIP2),
    "encrypted": _encrypted,
    "one name twice": _twice,
    "file as folder": _file_as_folder,
    "folders only": lambda: _zip(("a/", b""), ("a/b/", b"")),
    "empty": lambda: _zip(),
    "nothing": lambda: b"",
    "not a zip": lambda: b"PK\x03\x04" + bytes(range(256)) * 8,
    "junk before": lambda: b"#!/bin/sh\ntouch escape\n" + _zip(("1.dcm", INSIDE)),
    "zip64 lie": lambda: _zip(("1.dcm", INSIDE)).replace(b"PK\x05\x06", b"PK\x06\x06"),
}


def content_of(number: int) -> tuple[str, bytes]:
    """The label and bytes of an archive."""
    if number < len(NAMES):
        return f"name {NAMES[number]!r}", _zip((NAMES[number], INSIDE), ("1.dcm", INSIDE))
    number -= len(NAMES)
    if number < len(ODD):
        return f"odd {ODD[number][:24]!r}", _zip((ODD[number], INSIDE), ("1.dcm", INSIDE))
    number -= len(ODD)
    if number < len(MADE):
        name = list(MADE)[number]
        return name, MADE[name]()
    rng = np.random.default_rng([SEED, 5, number])
    whole = bytearray(_zip(("a/1.dcm", INSIDE), ("a/2.dcm", INSIDE), method=zipfile.ZIP_DEFLATED))
    for place in rng.integers(0, len(whole), 6):
        whole[place] ^= int(rng.integers(1, 256))
    return "mutated", bytes(whole[: int(rng.integers(1, len(whole) + 1))])


def play(number: int, place: Path) -> Verdict:
    label, content = content_of(number)
    # Deep enough that a few levels up still end in a folder of this case.
    target = place / "up" / "up" / "up" / "here" / "target"
    target.parent.mkdir(parents=True)
    (place / "upload.zip").write_bytes(content)
    before = _listing(place) | _listing(Path.cwd())
    verdict = judged(label, lambda: _judge(place / "upload.zip", target))
    inside = {path for path in _listing(place) if path.startswith(f"{target}{os.sep}")}
    after = (_listing(place) | _listing(Path.cwd())) - inside - {str(target)}
    if after != before or Path("/tmp/escape.dcm").exists() or Path("/escape.dcm").exists():
        return Verdict("escaped", f"{label}: {sorted(after - before)[:3]}")
    return verdict


def _judge(archive: Path, target: Path) -> Verdict:
    try:
        folder = extract_dicom_archive(archive, target, max_bytes=LIMIT)
    except CSpineError:
        if target.exists():
            return Verdict("silent", "a refused archive left files behind")
        raise
    kept = [path for path in target.rglob("*") if path.is_file()]
    if any(path.is_symlink() for path in target.rglob("*")):
        return Verdict("escaped", "a link was made")
    if sum(path.stat().st_size for path in kept) > LIMIT:
        return Verdict("silent", "more than the limit was unpacked")
    whole = all(path.read_bytes() in (INSIDE, b"other") or path.suffix == ".zip" for path in kept)
    return Verdict("read") if whole and folder.is_dir() else Verdict("silent", "other bytes")


def _listing(folder: Path) -> set[str]:
    """Everything below the case's folder; of any other only what lies in it."""
    entries = folder.rglob("*") if folder.name.startswith("fuzz-") else folder.iterdir()
    return {str(path) for path in entries}


FAMILY: Final = Family("archives", 60, 1, play)
