import itertools
import math

import cv2
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.cluster import KMeans

from core.preprocessing.noise_reduction import (
    explain_noise,
    grey_histogram,
    kmeans_starts,
    otsu_threshold,
    reduce_noise,
)
from core.types import NoiseReduction

IMAGES = hnp.arrays(np.uint8, (6, 7), elements=st.integers(0, 255))


def made_slice(seed=0):
    """A disc of soft tissue with a ring of bone in air, all noisy; uint8 (64, 64)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-32:32, -32:32]
    radius = np.hypot(y, x)
    grey = np.where(radius < 26, 80, 5) + np.where((radius > 6) & (radius < 10), 110, 0)
    return np.clip(grey + rng.normal(0, 8, grey.shape), 0, 255).astype(np.uint8)


def inertia(image, starts):
    """Squared distance of every pixel to its group's mean, in float64, group by group."""
    groups = np.searchsorted(starts, image.ravel(), side="right")
    values = image.ravel().astype(np.float64)
    return sum(((values[groups == g] - values[groups == g].mean()) ** 2).sum()
               for g in np.unique(groups))  # fmt: skip


def test_nothing_is_done_where_nothing_is_asked_for():
    image = made_slice()
    assert reduce_noise(image, NoiseReduction()) is image
    result = explain_noise(image, NoiseReduction())
    assert result.starts == ()
    assert result.groups.max() == 0
    assert result.means[0] == pytest.approx(image.mean())


def test_a_threshold_blackens_what_is_darker_and_keeps_the_rest():
    image = np.array([[0, 29], [30, 255]], np.uint8)
    how = NoiseReduction("threshold", threshold=30)
    assert reduce_noise(image, how).tolist() == [[0, 0], [30, 255]]
    result = explain_noise(image, how)
    assert result.groups.tolist() == [[0, 0], [1, 1]]
    assert result.means == (14.5, 142.5)


@given(IMAGES)
@settings(max_examples=60, deadline=None)
def test_otsu_is_opencvs(image):
    threshold = otsu_threshold(grey_histogram(image))
    last_dark, _ = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if threshold is None:
        assert (image == image[0, 0]).all()
    else:
        # Its accumulation rounds, so that it may choose another of two equal partings.
        def between(t):
            low, high = image[image < t].astype(float), image[image >= t].astype(float)
            return len(low) * len(high) * (low.mean() - high.mean()) ** 2

        assert between(threshold) >= between(last_dark + 1) * (1 - 1e-12)


def test_otsu_is_simpleitks_on_a_noisy_slice():
    image = made_slice()
    filtered = SimpleITK.OtsuThresholdImageFilter()
    filtered.SetNumberOfHistogramBins(256)
    filtered.SetInsideValue(0)
    filtered.SetOutsideValue(1)
    kept = SimpleITK.GetArrayFromImage(filtered.Execute(SimpleITK.GetImageFromArray(image)))
    result = explain_noise(image, NoiseReduction("otsu"))
    np.testing.assert_array_equal(result.groups, kept)
    np.testing.assert_array_equal(result.image, np.where(result.groups == 1, image, 0))


def test_otsu_takes_the_lowest_of_equal_thresholds():
    assert otsu_threshold(grey_histogram(np.array([[10, 200]], np.uint8))) == 11


@pytest.mark.parametrize("level", [0, 7, 255])
def test_a_slice_of_one_grey_stays_as_it_is(level):
    image = np.full((4, 4), level, np.uint8)
    for method in ("otsu", "kmeans"):
        np.testing.assert_array_equal(reduce_noise(image, NoiseReduction(method)), image)


@given(IMAGES, st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_kmeans_is_the_best_of_all_partings(image, clusters):
    few = image // 32 * 32
    levels = np.unique(few)
    starts = kmeans_starts(grey_histogram(few), clusters)
    groups = min(clusters, len(levels))
    assert len(starts) == groups - 1
    best = min(inertia(few, s) for s in itertools.combinations(levels[1:].tolist(), groups - 1))
    assert math.isclose(inertia(few, starts), best, rel_tol=1e-12, abs_tol=1e-9)


@pytest.mark.parametrize("clusters", [2, 3, 5])
def test_kmeans_is_no_worse_than_scikit_learn_with_many_starts(clusters):
    image = made_slice()
    peer = KMeans(clusters, n_init=10, random_state=0).fit(image.reshape(-1, 1).astype(float))
    starts = kmeans_starts(grey_histogram(image), clusters)
    assert inertia(image, starts) <= peer.inertia_ * (1 + 1e-9)
    assert inertia(image, starts) == pytest.approx(peer.inertia_, rel=0.01)


def test_kmeans_gives_every_pixel_the_mean_of_its_group():
    image = made_slice()
    result = explain_noise(image, NoiseReduction("kmeans", clusters=3))
    for group in range(3):
        inside = result.groups == group
        mean = image[inside].astype(np.float64).mean()
        assert result.means[group] == pytest.approx(mean)
        assert set(result.image[inside].tolist()) == {round(mean)}
    assert len(np.unique(result.image)) == 3


@given(IMAGES, st.sampled_from(["threshold", "otsu", "kmeans"]))
@settings(max_examples=30, deadline=None)
def test_result_depends_on_the_histogram_alone(image, method):
    how = NoiseReduction(method)
    shuffled = np.random.default_rng(0).permutation(image.ravel()).reshape(image.shape)
    assert sorted(reduce_noise(image, how).ravel()) == sorted(reduce_noise(shuffled, how).ravel())


def test_the_input_is_not_written_to():
    image = made_slice()
    before = image.copy()
    for method in ("threshold", "otsu", "kmeans"):
        reduce_noise(image, NoiseReduction(method))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"threshold": 256}, {"clusters": 1}])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"level|groups"):
        NoiseReduction("kmeans", **wrong)
