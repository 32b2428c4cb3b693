"""The answer about a patient does not depend on how the files are stored: 48 ways, one answer."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from core.config import SlicePreparation
from core.dataset.index_shards import StudyTask, index_study, read_shard
from core.dataset.masks import load_vertebra_mask
from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.inference import predictor as module
from core.inference.predictor import Predictor
from core.prepared.box_slices import load_box_slices
from core.prepared.slices import load_study_slices
from core.prepared.volumes import load_viewer_volume
from core.types import StudyRecord
from tests.core.dicom.turned_series import LPS_RAS, ORDERS, write_turned
from tests.core.inference.test_predictor import info
from tests.stores import made_store

CUT = np.s_[20:34, 6:58, 9:56]
"""A few slices of a synthetic neck, of three different lengths."""
BOX = (20.0, 18.0, 27.0, 30.0)


@pytest.fixture(scope="module")
def patient(phantom_root):
    whole = read_series(read_studies(phantom_root)[0].folder, jobs=1)
    assert whole.axes.is_identity
    affine = whole.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [axis.start for axis in CUT]
    return whole.hu[CUT], affine


@pytest.fixture(scope="module")
def studies(patient, tmp_path_factory) -> list[StudyRecord]:
    """The patient in each of the 48 ways, with one mask and with boxes in pixels of the files."""
    hu, affine = patient
    root = tmp_path_factory.mktemp("turned")
    labels = np.zeros(hu.shape, np.uint8)
    for vertebra in range(1, 8):
        labels[2 * vertebra - 2 : 2 * vertebra, 20:30, 20:30] = vertebra
    nib.save(nib.Nifti1Image(labels, LPS_RAS @ affine), root / "mask.nii")
    records = []
    for number, order in enumerate(ORDERS):
        write_turned(root / f"1.{number}", hu, affine, order, study_uid="1.2.3")
        boxes = boxes_in_files(hu.shape, order)
        records.append(
            StudyRecord(f"1.{number}", root / f"1.{number}", (True,) * 7, boxes, root / "mask.nii")
        )
    return records


def boxes_in_files(shape, order):
    """`BOX` on slices 5 to 8, as (file number, xyxy), turned by nibabel as an image of 0 and 1."""
    marked = np.zeros(shape, np.uint8)
    left, top, right, bottom = (int(edge) for edge in BOX)
    marked[5:9, top:bottom, left:right] = 1
    stored = np.asarray(nib.Nifti1Image(marked, np.eye(4)).as_reoriented(order).dataobj)
    found = []
    for number, plane in enumerate(stored, start=1):
        rows, columns = plane.any(axis=1).nonzero()[0], plane.any(axis=0).nonzero()[0]
        if len(rows):
            xyxy = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            found.append((number, tuple(float(edge) for edge in xyxy)))
    return tuple(found)


class EveryPixelCounts(nn.Module):
    """One weight per pixel and output, so that no turned slice gives the same logits."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        weights = torch.randn(32 * 32, outputs, generator=torch.Generator().manual_seed(0))
        self.register_buffer("weights", weights / 32)

    def forward(self, images, metadata=None, presence=None) -> torch.Tensor:
        del presence
        return images.flatten(1).float() / 255 @ self.weights + metadata.sum(dim=1, keepdim=True)


@pytest.mark.slow
def test_networks_give_the_same_scores_for_every_order_of_the_axes(studies, monkeypatch):
    outputs = {"vertebra": 7, "fracture": 1}
    monkeypatch.setattr(
        module, "load_fast_model", lambda b, *_, **__: EveryPixelCounts(outputs[b.config.task])
    )
    predictor = Predictor(info("vertebra"), info("fracture"), device="cpu")
    expected = predictor.predict(read_series(studies[0].folder, jobs=1))
    assert np.ptp(expected.fracture_probs) > 0.1
    for record in studies[1:]:
        found = predictor.predict(read_series(record.folder, jobs=1))
        np.testing.assert_allclose(found.vertebra_probs, expected.vertebra_probs, atol=1e-6)
        np.testing.assert_allclose(found.fracture_probs, expected.fracture_probs, atol=1e-6)
        np.testing.assert_allclose(found.z_mm, expected.z_mm, atol=1e-6)


@pytest.mark.slow
def test_masks_land_on_the_same_voxels(studies):
    masks = [load_vertebra_mask(r.mask_file, read_series(r.folder, jobs=1)) for r in studies]
    assert masks[0].max() == 7
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask, masks[0])


@pytest.mark.slow
def test_prepared_slices_boxes_and_presences_are_the_same(studies, tmp_path):
    """From the store as well as at the first time."""
    grey = SlicePreparation(size=32, crop=1.0, window_center=400, window_width=1800)
    square = grey.model_copy(update={"field_mm": 60.0, "channels": "neighbours"})
    store = made_store(tmp_path)
    first = load_study_slices(studies[0], grey, store=store)
    squares = load_box_slices(studies[0], square, store=store)
    assert first.boxed is not None
    assert first.boxed.nonzero()[0].tolist() == [5, 6, 7, 8]
    assert sorted(squares.boxes) == [5, 6, 7, 8]
    for record in [*studies[1:], *studies[1::8]]:
        slices = load_study_slices(record, grey, store=store)
        np.testing.assert_array_equal(slices.images, first.images)
        np.testing.assert_array_equal(slices.presence, first.presence)
        np.testing.assert_array_equal(slices.boxed, first.boxed)
        np.testing.assert_allclose(slices.spacing_mm, first.spacing_mm, atol=1e-6)
        boxes = load_box_slices(record, square, store=store)
        np.testing.assert_array_equal(boxes.images, squares.images)
        assert sorted(boxes.boxes) == sorted(squares.boxes)
        for index, expected in squares.boxes.items():
            np.testing.assert_allclose(boxes.boxes[index], expected, atol=1e-6)


@pytest.mark.slow
def test_the_viewer_and_the_index_see_the_same_volume(studies, tmp_path):
    store = made_store(tmp_path)
    expected, facts = None, None
    for record in studies:
        load_viewer_volume(record, store=store)
        volume = load_viewer_volume(record, store=store)
        expected = volume if expected is None else expected
        np.testing.assert_array_equal(volume.hu, expected.hu)
        np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-6)
        assert volume.axes == read_series(record.folder, jobs=1).axes
        shard = tmp_path / f"{record.study_id}.parquet"
        index_study(StudyTask(record.study_id, record.folder, shard))
        found = read_shard(shard)
        assert found is not None
        numbers = {
            key: value for key, value in found.facts.items()
            if key not in ("n_files", "flag_reversed_numbering")
        }  # fmt: skip
        facts = numbers if facts is None else facts
        assert numbers == pytest.approx(facts, abs=1e-6)
        assert numbers["n_slices"] == volume.n_slices
