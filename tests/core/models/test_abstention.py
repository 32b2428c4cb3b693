from __future__ import annotations

import numpy as np
import pytest

from core.errors import BundleError
from core.inference.distribution import LevelFeatures, fit_statistics, study_distance
from core.models.abstention import (
    ABSTENTION_FILE,
    LEVELS_FILE,
    Abstention,
    DistributionReference,
    LevelStatistics,
    load_statistics,
    read_abstention,
    write_abstention,
)

SHA = "ab" * 32


def made():
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(16, 4)))[0].T
    return LevelStatistics(
        means=rng.normal(size=(7, 16)).astype(np.float32),
        components=directions.astype(np.float32),
        variances=np.array([4, 3, 2, 1], np.float32),
        rest=0.25,
    )


def content():
    reference = DistributionReference(
        cohort={"seed": 1}, studies=2, distance=1.5, scores=(0.5, 1.0), arrays_sha256="0" * 64
    )
    return Abstention(weights_sha256=SHA, distribution=reference)


@pytest.fixture
def folder(tmp_path):
    write_abstention(tmp_path, content(), made())
    return tmp_path


def test_a_reference_comes_back_within_half_precision(folder):
    found = read_abstention(folder, SHA)
    statistics = load_statistics(folder, found.distribution)
    for name in ("means", "components", "variances"):
        np.testing.assert_allclose(getattr(statistics, name), getattr(made(), name), atol=2e-3)
    assert statistics.rest == 0.25
    assert found.distribution.scores == (0.5, 1.0)


def test_distances_are_the_same_after_storing_where_most_directions_hardly_vary(tmp_path):
    rng = np.random.default_rng(4)
    directions = rng.normal(size=(8, 200)) / 14

    def study():
        means = 1 + rng.normal(size=(7, 8)) @ directions + 5e-4 * rng.normal(size=(7, 200))
        return LevelFeatures(means, np.full(7, 10))

    statistics = fit_statistics([study() for _ in range(60)])
    write_abstention(tmp_path, content(), statistics)
    stored = load_statistics(tmp_path, read_abstention(tmp_path, SHA).distribution)
    for one in (study() for _ in range(5)):
        assert study_distance(one, stored) == pytest.approx(
            study_distance(one, statistics), rel=0.02
        )


def test_a_bundle_without_the_file_has_none(tmp_path):
    assert read_abstention(tmp_path, SHA) is None


def test_a_reference_for_other_weights_is_not_used(folder, caplog):
    assert read_abstention(folder, "cd" * 32) is None
    assert "other weights" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', "\0"])
def test_a_damaged_file_is_named(folder, text):
    (folder / ABSTENTION_FILE).write_text(text)
    with pytest.raises(BundleError, match=ABSTENTION_FILE):
        read_abstention(folder, SHA)


def test_arrays_of_another_fit_are_refused(folder):
    reference = read_abstention(folder, SHA).distribution
    (folder / LEVELS_FILE).write_bytes(b"other")
    with pytest.raises(BundleError, match=LEVELS_FILE):
        load_statistics(folder, reference)
    (folder / LEVELS_FILE).unlink()
    with pytest.raises(BundleError, match=LEVELS_FILE):
        load_statistics(folder, reference)
