import numpy as np
import pytest
import torch

from core.data.cache import StudySlices
from core.data.datasets import SliceDataset, slice_fractured, slice_targets


def _study(study_id, n, *, fractured=None, presence=None, first_grey=0):
    images = np.zeros((n, 4, 4), np.uint8) + np.arange(first_grey, first_grey + n)[:, None, None]
    return StudySlices(
        images=images.astype(np.uint8),
        presence=presence,
        fractured=None if fractured is None else np.isin(np.arange(7), fractured),
        z_mm=-np.arange(n, dtype=np.float64),
        study_id=study_id,
    )


def _presence(*rows):
    """One string a slice: the digits of the vertebrae it shows, 1 to 7."""
    return np.array([[str(j + 1) in row for j in range(7)] for row in rows])


def test_a_slice_is_fractured_where_it_shows_a_fractured_vertebra():
    study = _study("a", 4, fractured=[1, 4], presence=_presence("1", "12", "3", "56"))
    np.testing.assert_array_equal(slice_fractured(study), [False, True, False, True])


def test_slice_truth_is_the_maximum_over_vertebrae_of_label_times_presence():
    rng = np.random.default_rng(0)
    for _ in range(50):
        y, v = rng.random(7) < 0.3, rng.random((9, 7)) < 0.3
        study = _study("a", 9, fractured=np.flatnonzero(y), presence=v)
        expected = [max(int(y[j]) * int(v[i, j]) for j in range(7)) for i in range(9)]
        np.testing.assert_array_equal(slice_fractured(study), expected)


def test_without_a_mask_only_an_intact_study_has_slice_truth():
    assert slice_fractured(_study("a", 3, fractured=[2])) is None
    np.testing.assert_array_equal(slice_fractured(_study("a", 3, fractured=[])), [False] * 3)


def test_unlabelled_study_has_no_fracture_truth_even_with_a_mask():
    study = _study("a", 2, presence=_presence("1", "2"))
    assert slice_fractured(study) is None
    assert slice_targets(study, "fracture") is None
    assert slice_targets(study, "vertebra").shape == (2, 7)


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


def test_one_slice_comes_with_its_own_truth(mixed):
    image, target = mixed[9]
    assert image.dtype == torch.uint8
    assert (image == 202).all()
    assert target.tolist() == [1.0]


@pytest.mark.parametrize("index", [-1, 10])
def test_slice_beyond_the_end_is_an_index_error(mixed, index):
    with pytest.raises(IndexError, match="10 slices"):
        mixed[index]


def test_batch_gathers_in_the_order_asked_for(mixed):
    images, targets = mixed.batch(np.array([9, 0, 6, 0]))
    assert images[:, 0, 0].tolist() == [202, 0, 100, 0]
    assert targets[:, 0].tolist() == [1, 1, 0, 1]


def test_batch_can_be_written_to_without_touching_the_studies(mixed):
    images, targets = mixed.batch(np.array([0]))
    images[:], targets[:] = 77, 77
    assert mixed[0][0].max() == 0
    assert mixed.targets.max() == 1


def test_whole_epoch_holds_every_slice_once(mixed):
    assert sorted(mixed.training_order(seed=(0, 0))) == list(range(10))


def test_order_depends_on_seed_and_epoch_alone(mixed):
    first = mixed.training_order(seed=(0, 0)).tolist()
    assert mixed.training_order(seed=(0, 0)).tolist() == first
    assert mixed.training_order(seed=(0, 1)).tolist() != first
    assert mixed.training_order(seed=(1, 0)).tolist() != first


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
