import numpy as np
import pytest
import torch

from core.prepared.slice_dataset import SliceDataset, fractured_by_vertebra
from core.prepared.slices import StudySlices
from core.preprocessing.metadata import slice_metadata


def _study(study_id, n, *, fractured=None, presence=None, first_grey=0, **options):
    images = np.zeros((n, 4, 4), np.uint8) + np.arange(first_grey, first_grey + n)[:, None, None]
    return StudySlices(
        images=images.astype(np.uint8),
        presence=presence,
        fractured=None if fractured is None else np.isin(np.arange(7), fractured),
        z_mm=-np.arange(n, dtype=np.float64),
        study_id=study_id,
        **options,
    )


def _presence(*rows):
    """One string a slice: the digits of the vertebrae it shows, 1 to 7."""
    return np.array([[str(j + 1) in row for j in range(7)] for row in rows])


def test_slice_truth_is_label_times_presence_of_each_vertebra():
    rng = np.random.default_rng(0)
    for _ in range(50):
        y, v = rng.random(7) < 0.3, rng.random((9, 7)).astype(np.float32)
        study = _study("a", 9, fractured=np.flatnonzero(y))
        expected = [[float(v[i, j]) if y[j] else 0.0 for j in range(7)] for i in range(9)]
        np.testing.assert_array_equal(fractured_by_vertebra(study, v), expected)


def test_without_presences_only_an_intact_study_has_slice_truth():
    assert fractured_by_vertebra(_study("a", 3, fractured=[2]), None) is None
    intact = fractured_by_vertebra(_study("a", 3, fractured=[]), None)
    np.testing.assert_array_equal(intact, np.zeros((3, 7)))


def test_unlabelled_study_teaches_presence_but_no_fractures():
    study = _study("a", 2, presence=_presence("1", "2"))
    assert fractured_by_vertebra(study, study.presence.astype(np.float32)) is None
    assert SliceDataset([study], "fracture").skipped == ("a",)
    assert SliceDataset([study], "vertebra").targets.shape == (2, 7)


@pytest.fixture
def mixed():
    """Three usable studies of 6, 1 and 3 slices with 2, 0 and 1 positive ones, and one not."""
    studies = [
        _study("a", 6, fractured=[0], presence=_presence("1", "1", "2", "2", "3", "")),
        _study("unknown", 5, fractured=[3], first_grey=50),
        _study("b", 1, fractured=[], first_grey=100),
        _study("c", 3, fractured=[6], presence=_presence("5", "6", "7"), first_grey=200),
    ]
    return SliceDataset(studies, "fracture")


def test_counts_slices_through_the_studies_and_skips_those_without_truth(mixed):
    assert len(mixed) == 10
    assert mixed.study_ids == ("a", "b", "c")
    assert mixed.skipped == ("unknown",)
    np.testing.assert_array_equal(mixed.targets[:, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(mixed.positive, mixed.targets[:, 0] == 1)


def test_one_slice_comes_with_its_own_truth(mixed):
    one = mixed.batch(np.array([9]))
    assert len(one) == 1
    assert one.images.dtype == torch.uint8
    assert (one.images == 202).all()
    assert one.fractured.tolist() == one.presence.tolist() == [[0, 0, 0, 0, 0, 0, 1]]


def test_batch_gathers_in_the_order_asked_for(mixed):
    batch = mixed.batch(np.array([9, 0, 6, 0]))
    assert batch.images[:, 0, 0].tolist() == [202, 0, 100, 0]
    assert batch.fractured.amax(dim=1).tolist() == [1, 1, 0, 1]
    assert batch.index.tolist() == [9, 0, 6, 0]
    shapes = [tuple(t.shape) for t in (batch.metadata, batch.presence, batch.fractured)]
    assert shapes == [(4, 3), (4, 7), (4, 7)]


def test_batch_can_be_written_to_without_touching_the_studies(mixed):
    batch = mixed.batch(np.array([0]))
    for tensor in (batch.images, batch.metadata, batch.presence, batch.fractured):
        tensor[:] = 77
    again = mixed.batch(np.array([0]))
    assert again.images.max() == 0
    assert mixed.presence.max() == mixed.fractured.max() == mixed.targets.max() == 1
    assert again.metadata.abs().max() < 77


def test_empty_batch_has_every_part(mixed):
    batch = mixed.batch(np.zeros(0, np.int64))
    assert len(batch) == 0
    assert batch.images.shape == (0, 4, 4)


def test_batch_goes_to_another_device_as_a_whole(mixed):
    batch = mixed.batch(np.array([0, 1])).to("meta")
    parts = batch.images, batch.metadata, batch.presence, batch.fractured, batch.index
    assert {tensor.device.type for tensor in parts} == {"meta"}


def test_metadata_is_that_of_each_slices_own_study():
    studies = [
        _study("a", 3, fractured=[], thickness_mm=2.5),
        _study("b", 2, fractured=[]),
        _study("c", 1, fractured=[], thickness_mm=1.0),
    ]
    batch = SliceDataset(studies, "fracture").batch(np.arange(6))
    expected = [slice_metadata(study.z_mm, study.thickness_mm) for study in studies]
    np.testing.assert_array_equal(batch.metadata, np.concatenate(expected))
    assert batch.metadata[:, 2].tolist() == [0.5, 0.5, 0.5, 0, 0, pytest.approx(0.2)]


def test_presences_given_take_the_place_of_a_mask():
    given = np.linspace(0, 1, 14, dtype=np.float32).reshape(2, 7)
    masked = _study("m", 2, fractured=[0], presence=_presence("1", ""))
    studies = [masked, _study("a", 2, fractured=[6]), _study("b", 2, fractured=[1])]
    dataset = SliceDataset(studies, "fracture", presence_of={"a": given, "m": given})
    assert (dataset.study_ids, dataset.skipped) == (("m", "a"), ("b",))
    np.testing.assert_array_equal(dataset.presence[:2], masked.presence)
    np.testing.assert_array_equal(dataset.presence[2:], given)
    np.testing.assert_array_equal(dataset.fractured[2:, 6], given[:, 6])
    assert not dataset.fractured[2:, :6].any()
    assert dataset.positive.tolist() == [True, False, False, True]


def test_models_that_read_presences_get_no_study_without_them():
    intact = _study("a", 2, fractured=[])
    assert len(SliceDataset([intact], "fracture")) == 2
    assert SliceDataset([intact], "fracture", needs_presence=True).skipped == ("a",)
    given = {"a": np.zeros((2, 7), np.float32)}
    assert len(SliceDataset([intact], "fracture", presence_of=given, needs_presence=True)) == 2


@pytest.mark.parametrize("given", [np.zeros((3, 7)), np.full((2, 7), 1.1), np.full((2, 7), np.nan)])
def test_presences_that_do_not_fit_are_refused(given):
    with pytest.raises(ValueError, match="study a must be 2 rows"):
        SliceDataset([_study("a", 2, fractured=[1])], "fracture", presence_of={"a": given})


def test_neighbours_never_come_from_another_study():
    studies = [
        _study("a", 3, fractured=[], first_grey=10, channels="neighbours"),
        _study("b", 1, fractured=[], first_grey=50, channels="neighbours"),
        _study("c", 2, fractured=[], first_grey=90, channels="neighbours"),
    ]
    images = SliceDataset(studies, "fracture").batch(np.arange(6)).images
    assert images.shape == (6, 3, 4, 4)
    assert images[:, :, 0, 0].tolist() == [
        [10, 10, 11], [10, 11, 12], [11, 12, 12], [50, 50, 50], [90, 90, 91], [90, 91, 91],
    ]  # fmt: skip


def test_windows_come_as_they_are_kept():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    study = StudySlices(images, None, np.zeros(7, bool), np.zeros(2), "a", channels="windows")
    dataset = SliceDataset([study], "fracture")
    assert dataset.channels == "windows"
    np.testing.assert_array_equal(dataset.batch(np.array([1, 0])).images, images[::-1])


def test_studies_prepared_differently_are_refused():
    studies = [_study("a", 2, fractured=[]), _study("b", 2, fractured=[], channels="neighbours")]
    with pytest.raises(ValueError, match="prepared alike"):
        SliceDataset(studies, "fracture")


def test_whole_epoch_holds_every_slice_once(mixed):
    assert sorted(mixed.training_order(seed=(0, 0))) == list(range(10))


def test_order_depends_on_seed_and_epoch_alone(mixed):
    first = mixed.training_order(seed=(0, 0)).tolist()
    assert mixed.training_order(seed=(0, 0)).tolist() == first
    assert mixed.training_order(seed=(0, 1)).tolist() != first
    assert mixed.training_order(seed=(1, 0)).tolist() != first


def test_draws_of_the_shipped_bundles_stay_as_they_were(mixed):
    assert mixed.training_order(seed=(5, 1, 0)).tolist() == [1, 5, 9, 2, 0, 4, 7, 6, 3, 8]
    assert mixed.training_order(seed=(5, 1, 0), balanced=True).tolist() == [0, 9, 4, 8, 7, 1]
    assert mixed.training_order(seed=(5, 1, 0), slices_per_study=2).tolist() == [0, 7, 4, 9, 6]


def test_cap_limits_each_study(mixed):
    order = mixed.training_order(seed=(0, 0), slices_per_study=2)
    assert len(set(order.tolist())) == len(order) == 5
    assert [np.sum((order >= a) & (order < b)) for a, b in ((0, 6), (6, 7), (7, 10))] == [2, 1, 2]


def test_capped_epochs_draw_different_slices(mixed):
    drawn = {
        frozenset(mixed.training_order(seed=(0, epoch), slices_per_study=2).tolist())
        for epoch in range(20)
    }
    assert len(drawn) > 1


def test_balanced_epoch_has_as_many_positive_as_negative_slices(mixed):
    for epoch in range(5):
        order = mixed.training_order(seed=(0, epoch), balanced=True)
        assert mixed.targets[order].sum() == 3
        assert len(set(order.tolist())) == 6


def test_balanced_epoch_of_one_class_is_empty():
    dataset = SliceDataset([_study("a", 3, fractured=[])], "fracture")
    assert len(dataset.training_order(seed=(0,), balanced=True)) == 0


def test_evaluation_takes_evenly_spaced_slices_of_each_study(mixed):
    assert mixed.evaluation_order().tolist() == list(range(10))
    assert mixed.evaluation_order(slices_per_study=3).tolist() == [0, 2, 4, 6, 7, 8, 9]


def test_vertebra_targets_are_the_presences():
    presence = _presence("12", "7")
    dataset = SliceDataset([_study("a", 2, presence=presence), _study("b", 4)], "vertebra")
    np.testing.assert_array_equal(dataset.targets, presence)
    assert dataset.skipped == ("b",)


def test_no_usable_study_gives_an_empty_data_set():
    dataset = SliceDataset([_study("b", 4)], "vertebra")
    assert len(dataset) == 0
    assert len(dataset.training_order(seed=(0,))) == 0
    assert len(dataset.evaluation_order()) == 0


def test_line_target_needs_a_box_on_the_slice():
    boxed = np.array([False, True, True, False])
    study = _study(
        "a", 4, fractured=[0], presence=_presence("1", "1", "2", "1"), boxed=boxed
    )  # fmt: skip
    on_line = SliceDataset([study], "fracture", target="line")
    np.testing.assert_array_equal(on_line.fractured[:, 0], [0, 1, 0, 0])
    assert not on_line.fractured[:, 1:].any()
    in_view = SliceDataset([study], "fracture")
    np.testing.assert_array_equal(in_view.fractured[:, 0], [1, 1, 0, 1])


def test_line_target_leaves_out_a_fractured_study_without_boxes_and_keeps_an_intact_one():
    presence = _presence("1", "2")
    studies = [
        _study("fractured", 2, fractured=[0], presence=presence),
        _study("intact", 2, fractured=[], presence=presence),
    ]
    dataset = SliceDataset(studies, "fracture", target="line")
    assert dataset.study_ids == ("intact",)
    assert not dataset.fractured.any()
