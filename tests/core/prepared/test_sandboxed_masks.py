"""Masks read in another process: what this one would read, and no harm to it."""

from __future__ import annotations

import gzip
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import psutil
import pytest

from core.dataset.masks import load_vertebra_mask
from core.errors import DataRootError
from core.prepared.sandboxed_masks import read_mask_confined
from core.prepared.sandboxed_reader import confined_reader
from core.system.process_limits import Limits
from core.types import CTVolume

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def reader():
    made = confined_reader(Limits(512 << 20, 60))
    yield made
    made.close()


def volume(n: int = 6) -> CTVolume:
    rng = np.random.default_rng(1)
    affine = np.array([[0, 0, 0.5, 1], [0, 0.5, 0, 2], [-1.0, 0, 0, 30], [0, 0, 0, 1]])
    return CTVolume(
        hu=rng.integers(200, 900, (n, 16, 12)).astype(np.int16), spacing_mm=(1.0, 0.5, 0.5),
        affine=affine, z_mm=30.0 - np.arange(n), instance_numbers=tuple(range(n)),
        source_files=(), study_uid="1.2", series_uid="1.3",
    )  # fmt: skip


def mask_file(folder, scan, labels):
    """NIfTI whose voxels are those of the scan, in the order (x, y, z)."""
    turn = np.eye(4)[[2, 1, 0, 3]]
    path = folder / "1.2.nii.gz"
    nib.save(nib.Nifti1Image(labels.transpose(2, 1, 0), RAS_TO_LPS @ scan.affine @ turn), path)
    return path


@pytest.mark.parametrize("kept", ["array", "file", "turned"])
def test_it_is_the_mask_that_this_process_would_read(tmp_path, reader, kept):
    scan = volume()
    labels = np.random.default_rng(2).integers(0, 8, scan.hu.shape).astype(np.uint8)
    path = mask_file(tmp_path, scan, labels)
    if kept != "array":
        np.save(tmp_path / "hu.npy", scan.hu)
        mapped = np.load(tmp_path / "hu.npy", mmap_mode="r")
        # Of the same size as the file, but in another order.
        scan = replace(scan, hu=mapped if kept == "file" else mapped[:, ::-1])
    found = read_mask_confined(path, scan, reader)
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(found, load_vertebra_mask(path, scan))


def test_bone_is_looked_at_unless_that_is_left_out(tmp_path, reader):
    scan = volume()
    air = replace(scan, hu=np.full_like(scan.hu, -1000))
    path = mask_file(tmp_path, scan, np.ones(scan.hu.shape, np.uint8))
    with pytest.raises(DataRootError, match="lie on bone"):
        read_mask_confined(path, air, reader)
    assert read_mask_confined(path, air, reader, on_bone=False).all()


def test_what_is_wrong_with_a_file_is_said_in_the_readers_words(tmp_path, reader):
    (tmp_path / "m.nii").write_bytes(b"no mask" * 100)
    with pytest.raises(DataRootError, match=r"m\.nii cannot be read as NIfTI; copy it again\.$"):
        read_mask_confined(tmp_path / "m.nii", volume(), reader)
    with pytest.raises(DataRootError, match="does not exist"):
        read_mask_confined(tmp_path / "absent.nii", volume(), reader)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limit")
def test_a_file_that_unpacks_to_a_gibibyte_costs_the_child_alone(tmp_path, reader):
    """Every voxel is labelled: counting them would take 24 bytes for each."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((1024, 1024, 1023))
    header.set_sform(np.eye(4), 1)
    path = tmp_path / "huge.nii.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(header.binaryblock + bytes(4))
        for _ in range(1023):
            stream.write(b"\1" * (1 << 20))
    before = psutil.Process().memory_info().rss
    with pytest.raises(DataRootError, match=r"huge\.nii\.gz") as caught:
        read_mask_confined(path, volume(), reader)
    assert str(caught.value).count(". ") == 0
    after = psutil.Process().memory_info().rss
    assert after - before < 64 << 20
    assert read_mask_confined(
        mask_file(tmp_path, volume(), np.ones(volume().hu.shape, np.uint8)), volume(), reader
    ).all()
