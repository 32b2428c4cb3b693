"""The index calls readable what `read_series` reads, and nothing else."""

from __future__ import annotations

import random

import pytest

from core.dataset.index_files import from_row, listing_of, place_files, read_file, to_row
from core.dicom.series import read_series
from core.errors import DicomSeriesError
from tests.core.dataset.made_root import add_study, files_of, index_here, study_of
from tests.core.dicom.dicom_factory import SYNTAXES, made_hu, write_ct_series
from tests.core.dicom.edited_slices import neighbours, save, twin


def verdicts(folder):
    """Why the index and the reader refuse a folder, "" for nothing; stored rows say the same."""
    files = [facts for name, _, _ in listing_of(folder) for facts in read_file(folder / name)]
    _, placement, error = place_files(folder, files)
    rows = [from_row(folder, to_row(folder, file)) for file in files]
    assert place_files(folder, rows)[2] == error
    try:
        volume = read_series(folder, jobs=1)
    except DicomSeriesError as problem:
        return error, str(problem)
    assert [header.path for header in placement.headers] == list(volume.source_files)
    return error, ""


@pytest.mark.slow
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_bytes_that_are_changed_anywhere(tmp_path, syntax):
    rng = random.Random(5)
    path = write_ct_series(tmp_path / "s", made_hu(4, 24, 20), syntax=syntax)[2]
    whole = path.read_bytes()
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            content[rng.randrange(132, len(whole))] ^= rng.randrange(1, 256)
        path.write_bytes(bytes(content[: rng.choice((len(whole), rng.randrange(len(whole))))]))
        index, reader = verdicts(tmp_path / "s")
        assert bool(index) == bool(reader), (index, reader)


def edits(slices):
    """Series that only their headers spoil, or that only look spoilt."""
    yield (
        "another acquisition",
        [*slices, *twin(slices, lambda d: setattr(d, "AcquisitionNumber", 2))],
    )
    yield "map", twin(slices, lambda ds: setattr(ds, "RescaleType", "Z_EFF"))
    yield (
        "one series a slice",
        twin(slices, lambda ds: setattr(ds, "SeriesInstanceUID", ds.SOPInstanceUID)),
    )
    yield "same position", twin(slices, lambda ds: setattr(ds, "ImagePositionPatient", [1, 2, 3]))
    gap = twin(slices, lambda _: None)
    gap[3].PixelSpacing = [0.9, 0.9]
    yield "odd one", gap
    lacking = twin(slices, lambda _: None)
    del lacking[3].RescaleIntercept
    yield "rescale", lacking
    yield "mixed", [*slices, *twin(slices, lambda _: None)]
    short = twin(slices, lambda _: None)
    short[2].PixelData = short[2].PixelData[:-4]
    yield "short", short


def test_headers_of_every_kind(tmp_path):
    slices = neighbours(tmp_path / "source")
    for name, edited in edits(slices):
        index, reader = verdicts(save(edited, tmp_path / name))
        assert index == reader, name


def test_a_study_over_sub_folders_is_indexed_as_it_is_read(tmp_path):
    root = tmp_path / "root"
    paths = add_study(root, "1.1")
    inner = root / "train_images" / "1.1" / "more"
    inner.mkdir()
    for path in paths[10:]:
        path.rename(inner / path.name)
    index = index_here(root)
    row = study_of(index, "1.1")
    assert (row["n_slices"], row["error"]) == (25, None)
    assert files_of(index, "1.1").loc["more/25.dcm", "slice_index"] == 24
    assert verdicts(root / "train_images" / "1.1") == ("", "")
