"""Unpacking uploads: what is safe lands in the target, what is not leaves nothing behind."""

from __future__ import annotations

import io
import stat
import warnings
import zipfile
from pathlib import Path

import pytest

from core.dicom import zip_archive
from core.dicom.series import read_series
from core.dicom.zip_archive import extract_dicom_archive
from core.errors import ArchiveError, StorageError
from tests.core.dicom.dicom_factory import made_hu, write_ct_series

ROOMY = 1 << 20


def packed(entries: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in entries.items():
            target.writestr(name, content)
    return stream


def refuse(stream, tmp_path: Path, match: str, max_bytes: int = ROOMY) -> None:
    """Expect an ArchiveError, and nothing written anywhere."""
    target = tmp_path / "uploads" / "target"
    with pytest.raises(ArchiveError, match=match) as caught:
        extract_dicom_archive(stream, target, max_bytes=max_bytes)
    assert "secret" not in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert not target.exists()


def test_a_nested_series_is_found_and_read(tmp_path):
    hu = made_hu(4)
    files = write_ct_series(tmp_path / "series", hu)
    entries = {f"study/series/{file.name}": file.read_bytes() for file in files}
    entries |= {"study/README.txt": b"hello", "study/DICOMDIR": b"x"}
    folder = extract_dicom_archive(packed(entries), tmp_path / "target", max_bytes=ROOMY)
    assert folder == tmp_path / "target"
    assert (read_series(folder).hu == hu).all()


def test_an_archive_given_as_a_path_with_files_at_its_root(tmp_path):
    (tmp_path / "a.zip").write_bytes(packed({"1.dcm": b"1", "x/2.dcm": b"2"}).getvalue())
    target = tmp_path / "target"
    target.mkdir()
    assert extract_dicom_archive(tmp_path / "a.zip", target, max_bytes=ROOMY) == target
    assert (target / "1.dcm").read_bytes() == b"1"


def test_the_clutter_of_desktops_is_left_out(tmp_path):
    entries = {
        "s/1.dcm": b"1", "__MACOSX/s/._1.dcm": b"m", "__MACOSX/s/2": b"m", "s/.DS_Store": b"d",
        "s/._1.dcm": b"m",
    }  # fmt: skip
    extract_dicom_archive(packed(entries), tmp_path / "target", max_bytes=ROOMY)
    files = [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()]
    assert files == [Path("target/s/1.dcm")]


@pytest.mark.parametrize(
    "name",
    ["../secret", "a/../../secret", "/secret", "..\\secret", "C:\\secret", "C:secret", "a/.."],
)
def test_entries_that_point_outside_are_refused(tmp_path, name):
    refuse(packed({"ok.dcm": b"1", name: b"x"}), tmp_path, "Entry 2 .* outside")


def test_what_lies_too_deep_is_refused_and_what_does_not_is_not(tmp_path):
    for depth in (zip_archive.MAX_DEPTH, 950, 1500):
        refuse(packed({"secret/" * depth + "1.dcm": b"1"}), tmp_path, "Entry 1 .* folders deep")
    name = "a/" * (zip_archive.MAX_DEPTH - 1) + "1.dcm"
    extract_dicom_archive(packed({name: b"1"}), tmp_path / "fits", max_bytes=ROOMY)
    assert (tmp_path / "fits" / name).is_file()


def test_a_name_that_is_no_text_is_refused(tmp_path):
    content = packed({"secretéé.dcm": b"1"}).getvalue()
    broken = content.replace("éé".encode(), b"\xff\xfe\xff\xfe")
    refuse(io.BytesIO(broken), tmp_path, "damaged")


def test_a_name_ends_where_its_nul_stands(tmp_path):
    content = packed({"1.dcmXX../../../x": b"1"}).getvalue().replace(b"XX", b"\0\0")
    extract_dicom_archive(io.BytesIO(content), tmp_path / "target", max_bytes=ROOMY)
    assert sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*")) == [
        Path("target"), Path("target/1.dcm"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path, kind):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        entry = zipfile.ZipInfo("secret")
        entry.external_attr = (kind | 0o777) << 16
        target.writestr(entry, "/etc/passwd")
    refuse(stream, tmp_path, "link or device")


def test_too_many_entries_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_archive, "MAX_ENTRIES", 3)
    refuse(packed({str(k): b"" for k in range(4)}), tmp_path, "4 entries, more than 3")


def test_the_size_is_counted_while_unpacking_whatever_the_headers_say(tmp_path):
    stream = packed({"bomb.dcm": b"\0" * (5 << 20)})
    refuse(io.BytesIO(stream.getvalue()), tmp_path, "more than 1 MiB")
    lying = stream.getvalue().replace((5 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    refuse(io.BytesIO(lying), tmp_path, "damaged|more than")


def test_the_size_limit_is_for_all_entries_together(tmp_path):
    entries = {f"{k}.dcm": b"x" * 600 for k in range(3)}
    refuse(packed(entries), tmp_path, "unpacks to more", max_bytes=1799)
    extract_dicom_archive(packed(entries), tmp_path / "fits", max_bytes=1800)


def test_an_encrypted_archive_is_refused(tmp_path):
    content = bytearray(packed({"secret.dcm": b"x" * 50}).getvalue())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    refuse(io.BytesIO(bytes(content)), tmp_path, "encrypted")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + b"\0" * 100])
def test_what_is_no_zip_is_refused(tmp_path, content):
    refuse(io.BytesIO(content), tmp_path, "not a zip")


def test_a_damaged_entry_is_refused(tmp_path):
    content = bytearray(packed({"a.dcm": bytes(range(256)) * 40}).getvalue())
    content[60] ^= 0xFF
    refuse(io.BytesIO(bytes(content)), tmp_path, "damaged")


@pytest.mark.parametrize("entries", [{}, {"folder/": b""}, {".DS_Store": b"x"}])
def test_an_archive_without_files_is_refused(tmp_path, entries):
    refuse(packed(entries), tmp_path, "no files")


def test_two_entries_of_one_name_are_refused(tmp_path):
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as target:
        warnings.simplefilter("ignore")
        target.writestr("secret.dcm", b"1")
        target.writestr("secret.dcm", b"2")
    refuse(stream, tmp_path, "two entries of one name")


def test_a_name_no_file_can_have_is_refused(tmp_path):
    refuse(packed({"secret" * 100: b"1"}), tmp_path, "name no file can have")


def test_a_target_with_content_is_kept_as_it_is(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").write_text("mine")
    with pytest.raises(StorageError):
        extract_dicom_archive(packed({"1.dcm": b"1"}), target, max_bytes=ROOMY)
    assert [path.name for path in tmp_path.rglob("*")] == ["target", "mine"]
