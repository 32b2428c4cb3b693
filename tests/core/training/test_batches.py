import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.prepared.slice_dataset import SliceDataset
from core.prepared.slices import StudySlices
from core.training.batches import Batches

PARTS = ("images", "metadata", "presence", "fractured", "index")


def _dataset(channels="grey"):
    rng = np.random.default_rng(0)
    shape = (7, 3, 16, 16) if channels == "windows" else (7, 16, 16)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    study = StudySlices(images, np.eye(7, dtype=bool), None, -np.arange(7.0), "a", 2.0,
                        channels=channels)  # fmt: skip
    return SliceDataset([study], "vertebra")


DATASET = _dataset()
LONG_ORDER = np.random.default_rng(1).integers(0, 7, 23)


def _sizes(count, **options):
    batches = Batches(DATASET, np.arange(count), 3, **options)
    sizes = [len(batch) for batch in batches]
    assert len(batches) == len(sizes) == batches.total
    return sizes


def _same(one, other):
    return all(torch.equal(getattr(one, part), getattr(other, part)) for part in PARTS)


def _all_same(one, other):
    return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))


def test_last_batch_may_be_short():
    assert _sizes(7) == [3, 3, 1]
    assert _sizes(6) == [3, 3]
    assert _sizes(0) == []


def test_short_last_batch_is_dropped_unless_it_is_the_only_one():
    assert _sizes(7, drop_last=True) == [3, 3]
    assert _sizes(2, drop_last=True) == [2]


def test_slices_come_in_order_with_their_truth():
    batches = list(Batches(DATASET, np.array([4, 0, 6, 1]), 2))
    presence = torch.cat([batch.presence for batch in batches])
    assert presence.argmax(dim=1).tolist() == [4, 0, 6, 1]
    assert torch.equal(batches[0].images, DATASET.batch(np.array([4, 0])).images)


def test_augmentation_is_repeatable_and_leaves_truth_alone():
    order = np.arange(7)
    plain = list(Batches(DATASET, order, 4))
    first, second = (list(Batches(DATASET, order, 4, augment_seed=(1, 0))) for _ in range(2))
    other = list(Batches(DATASET, order, 4, augment_seed=(1, 1)))
    assert _all_same(first, second)
    assert not torch.equal(first[0].images, other[0].images)
    assert not torch.equal(first[0].images, plain[0].images)
    assert torch.equal(first[1].presence, plain[1].presence)


def test_the_same_slice_is_changed_otherwise_in_each_batch():
    batches = list(Batches(DATASET, np.zeros(4, np.int64), 2, augment_seed=(1,)))
    images = torch.cat([batch.images for batch in batches])
    assert len(torch.unique(images, dim=0)) == 4


@pytest.mark.parametrize("channels", ["windows", "neighbours"])
def test_three_channels_are_augmented_too(channels):
    dataset = _dataset(channels)
    plain, changed = (
        next(iter(Batches(dataset, np.arange(7), 7, augment_seed=seed))) for seed in (None, (1,))
    )
    assert changed.images.shape == plain.images.shape == (7, 3, 16, 16)
    assert not torch.equal(changed.images, plain.images)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_change_nothing(workers):
    alone = list(Batches(DATASET, LONG_ORDER, 3, augment_seed=(4, 2)))
    helped = list(Batches(DATASET, LONG_ORDER, 3, augment_seed=(4, 2), workers=workers))
    assert _all_same(alone, helped)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(0, 23),
    batch_size=st.integers(1, 8),
    first=st.integers(0, 23),
    drop_last=st.booleans(),
    workers=st.sampled_from([0, 2]),
)
def test_a_later_start_gives_the_rest_of_the_whole_walk(
    count, batch_size, first, drop_last, workers
):
    options = {"augment_seed": (3, 1), "drop_last": drop_last}
    order = LONG_ORDER[:count]
    whole = list(Batches(DATASET, order, batch_size, **options))
    first = min(first, len(whole))
    rest = Batches(DATASET, order, batch_size, first=first, workers=workers, **options)
    assert len(rest) == len(whole) - first
    assert _all_same(list(rest), whole[first:])


@settings(max_examples=40, deadline=None)
@given(
    world=st.integers(1, 4),
    batch_size=st.integers(4, 9),
    drop_last=st.booleans(),
    workers=st.sampled_from([0, 2]),
)
def test_processes_share_every_batch_of_the_one_walk(world, batch_size, drop_last, workers):
    options = {"augment_seed": (3, 1), "drop_last": drop_last}
    whole = list(Batches(DATASET, LONG_ORDER, batch_size, **options))
    shares = [
        list(Batches(DATASET, LONG_ORDER, batch_size, shard=(r, world), workers=workers, **options))
        for r in range(world)
    ]
    for number, batch in enumerate(whole):
        for rank in range(world):
            share = shares[rank][number]
            for part in PARTS:
                expected = getattr(batch, part)[rank::world]
                assert torch.equal(getattr(share, part), expected)
    assert {len(share) for share in shares} == {len(whole)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shard": (2, 2)}, "Rank 2"),
        ({"shard": (-1, 2)}, "Rank -1"),
        ({"shard": (0, 5)}, "shared by 5"),
        ({"workers": -1}, "0 workers or more"),
        ({"first": 4}, "Batch 4 is not one of 3 batches"),
        ({"first": -1}, "Batch -1"),
        ({"batch_size": 0}, "A batch of 0"),
    ],
)
def test_a_walk_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Batches(**({"dataset": DATASET, "order": np.arange(7), "batch_size": 3} | changes))


class _Slow(SliceDataset):
    """Takes a while over each batch and keeps count of who is at it."""

    def __init__(self):
        study = StudySlices(np.zeros((7, 4, 4), np.uint8), None, np.zeros(7, bool), np.zeros(7), "")
        super().__init__([study], "fracture")
        self.made = 0

    def batch(self, indices, changes=None, *, defer=False):
        time.sleep(0.01)
        self.made += 1
        if self.made > 1000:
            raise OSError("gone")
        return super().batch(indices, changes, defer=defer)


def test_batches_are_made_while_the_model_works_and_no_further_than_needed():
    dataset = _Slow()
    walk = iter(Batches(dataset, np.zeros(100, np.int64), 1, workers=2))
    next(walk)
    deadline = time.monotonic() + 10
    while dataset.made < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    assert dataset.made == 4


def test_leaving_a_walk_early_ends_its_threads():
    before = threading.active_count()
    walk = iter(Batches(_Slow(), np.zeros(100, np.int64), 1, workers=3))
    next(walk)
    assert threading.active_count() > before
    walk.close()
    assert threading.active_count() == before


def test_an_error_in_a_worker_reaches_the_taker():
    dataset = _Slow()
    dataset.made = 1000
    with pytest.raises(OSError, match="gone"):
        list(Batches(dataset, np.zeros(5, np.int64), 1, workers=2))


@pytest.mark.parametrize("workers", [0, 2])
def test_time_spent_waiting_is_added_up(workers):
    batches = Batches(_Slow(), np.zeros(4, np.int64), 1, workers=workers)
    list(batches)
    assert batches.waited_s > 0.005


def test_a_model_slower_than_the_loader_hardly_waits():
    batches = Batches(_Slow(), np.zeros(6, np.int64), 1, workers=2)
    for _ in batches:
        time.sleep(0.05)
    in_process = Batches(_Slow(), np.zeros(6, np.int64), 1)
    list(in_process)
    assert batches.waited_s < in_process.waited_s
