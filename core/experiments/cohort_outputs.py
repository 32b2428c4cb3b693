"""Outputs of trained networks on the cohorts: each study by networks that have not seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.config import RunConfig
from core.dataset.rsna import read_studies
from core.dataset.splits import assign_folds
from core.dicom.series import read_series
from core.experiments.cohorts import FOLDS, HELD_OUT
from core.inference.predictor import Predictor
from core.models.bundles import BundleInfo
from core.models.pairs import DEFAULT_NAMES
from core.types import CTVolume, Progress, Say, SlicePredictions, StudyRecord

BundleByFold = Mapping[int, BundleInfo]
Outputs = dict[str, list[SlicePredictions]]
"""Outputs of every study by bundle name, with the same order of studies."""


@dataclass(frozen=True, slots=True, eq=False)
class CohortOutputs:
    """Outputs of every network on the studies of a cohort, without the context of vertebrae.

    Attributes:
        records: The studies.
        raw: Outputs by bundle name; studies in the same order for every bundle.
    """

    records: Sequence[StudyRecord]
    raw: Outputs


def outputs_of(
    trained: Mapping[str, BundleByFold], config: RunConfig, work: Path,
    progress: Progress | None = None, say: Say = lambda _: None,
) -> tuple[CohortOutputs, CohortOutputs]:  # fmt: skip
    """Predict `FOLDS` by the networks of each study's fold, and `HELD_OUT` by those of the first.

    Args:
        trained: As for `score_bundles`; of vertebra networks alone, the fractures are all 0.
        config: Run config with the folds and their seed.
        work: Folder of the cohorts.
        progress: Called with (studies done, total studies).
        say: Called with one line per cohort.

    Returns:
        Outputs on `FOLDS` and on `HELD_OUT`.
    """
    in_folds = read_studies(work / FOLDS.name)
    assigned = assign_folds(in_folds, config.folds, config.seed)
    folds = sorted(next(iter(trained.values())))
    asked = [r for r in in_folds if assigned[r.study_id] in folds]
    say(f"Out-of-fold predictions of {len(asked)} studies")
    raw: Outputs = {name: [] for name in trained}
    for fold in folds:
        members = [record for record in asked if assigned[record.study_id] == fold]
        networks = {name: by_fold[fold] for name, by_fold in trained.items()}
        for name, found in _run(networks, members, progress).items():
            raw[name] += found
    shipped = {name: by_fold[folds[0]] for name, by_fold in trained.items()}
    records = read_studies(work / HELD_OUT.name)
    say(f"Held-out predictions of {len(records)} studies")
    return CohortOutputs(asked, raw), CohortOutputs(records, _run(shipped, records, progress))


def _run(
    networks: Mapping[str, BundleInfo], records: Sequence[StudyRecord], progress: Progress | None
) -> Outputs:
    """Run every network once over each study, without the context of vertebrae."""
    plain = {name: _without_context(bundle) for name, bundle in networks.items()}
    pairs = _pairs(plain)
    predictors = {(v, f): Predictor(plain[v], None if f is None else plain[f]) for v, f in pairs}
    found: Outputs = {name: [] for name in networks}
    for number, record in enumerate(records):
        volume = read_series(record.folder)
        for pair, predictor in predictors.items():
            seen_only = pair[1] is None
            prediction = _seen(predictor, volume) if seen_only else predictor.predict(volume)
            for name in pair:
                if name is not None and len(found[name]) == number:
                    found[name].append(prediction)
        if progress is not None:
            progress(number + 1, len(records))
    return found


def _seen(predictor: Predictor, volume: CTVolume) -> SlicePredictions:
    """The presence from a vertebra network alone, without fractures."""
    presence = predictor.see(volume).presence
    return SlicePredictions(
        study_id=volume.study_uid,
        z_mm=volume.z_mm,
        vertebra_probs=presence,
        fracture_probs=np.zeros_like(presence),
        fracture_type=2,
        instance_numbers=volume.slice_instance_numbers,
    )


def _pairs(networks: Mapping[str, BundleInfo]) -> list[tuple[str, str | None]]:
    """Pair the networks so that each runs once and Type 2 gets its presence."""
    alone = [n for n, b in networks.items() if b.config.task == "fracture" and b.config.type == 3]
    vertebra = [name for name, bundle in networks.items() if bundle.config.task == "vertebra"]
    fracture = [
        name for name, bundle in networks.items()
        if bundle.config.task == "fracture" and name not in alone
    ]  # fmt: skip
    # The default vertebra network goes with Type 2, which was trained on such presence.
    vertebra.sort(key=lambda name: name != DEFAULT_NAMES["vertebra"])
    fracture.sort(key=lambda name: -networks[name].config.type)
    longest = max(len(vertebra), len(fracture))
    joined = [
        (
            vertebra[min(k, len(vertebra) - 1)],
            fracture[min(k, len(fracture) - 1)] if fracture else None,
        )
        for k in range(longest)
    ]
    return [*joined, *((name, name) for name in alone)]


def _without_context(bundle: BundleInfo) -> BundleInfo:
    none = {"context": None, "track_weights": None}
    return replace(bundle, config=bundle.config.model_copy(update=none))
