import numpy as np
import pytest
import torch

from core.data.cache import StudySlices
from core.data.datasets import SliceDataset
from core.training.batches import Batches


@pytest.fixture
def dataset():
    images = np.random.default_rng(0).integers(0, 256, (7, 16, 16), dtype=np.uint8)
    presence = np.eye(7, dtype=bool)
    return SliceDataset([StudySlices(images, presence, None, np.zeros(7), "a")], "vertebra")


def _sizes(dataset, count, **options):
    batches = Batches(dataset, np.arange(count), 3, **options)
    sizes = [len(images) for images, _ in batches]
    assert len(batches) == len(sizes)
    return sizes


def test_last_batch_may_be_short(dataset):
    assert _sizes(dataset, 7) == [3, 3, 1]
    assert _sizes(dataset, 6) == [3, 3]
    assert _sizes(dataset, 0) == []


def test_short_last_batch_is_dropped_unless_it_is_the_only_one(dataset):
    assert _sizes(dataset, 7, drop_last=True) == [3, 3]
    assert _sizes(dataset, 2, drop_last=True) == [2]


def test_slices_come_in_order_with_their_truth(dataset):
    batches = list(Batches(dataset, np.array([4, 0, 6, 1]), 2))
    targets = torch.cat([targets for _, targets in batches])
    assert targets.argmax(dim=1).tolist() == [4, 0, 6, 1]
    assert torch.equal(batches[0][0][0], dataset[4][0])


def test_augmentation_is_repeatable_and_leaves_truth_alone(dataset):
    order = np.arange(7)
    plain = list(Batches(dataset, order, 4))
    first, second = (list(Batches(dataset, order, 4, augment_seed=(1, 0))) for _ in range(2))
    other = list(Batches(dataset, order, 4, augment_seed=(1, 1)))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0][0], other[0][0])
    assert not torch.equal(first[0][0], plain[0][0])
    assert torch.equal(first[1][1], plain[1][1])


def test_time_spent_waiting_is_added_up(dataset):
    batches = Batches(dataset, np.arange(7), 3)
    list(batches)
    assert batches.waited_s > 0
