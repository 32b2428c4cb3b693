"""Making the shipped dense fracture networks: the heads of every fold, and their outputs.

`FOLDS` is split into five folds of patients; the heads of each fold predict its patients.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.config import RunConfig, Settings
from core.constants import N_VERTEBRAE
from core.errors import BundleError
from core.experiments.cohort_outputs import CohortOutputs, Outputs
from core.experiments.cohorts import FOLDS, ShippedCohort
from core.experiments.localizer_scores import stored_predictions
from core.experiments.shipped_localizer import NAME as LOCALIZER
from core.inference.one_trunk import on_one_trunk
from core.models.bundles import BundleInfo, read_bundle
from core.models.checkpoint import load_model
from core.models.dense import DenseModel
from core.models.pairs import DEFAULT_NAMES
from core.prepared.box_slices import load_box_slices
from core.prepared.series_digests import study_digests
from core.training.dense_heads import train_heads, training_records, write_heads
from core.training.dense_views import cohort_truth, trunk_views
from core.training.provenance import fingerprint_keys, provenance
from core.types import Progress, Say, SlicePredictions, Store, StudyRecord


def train_dense(
    settings: Settings, work: Path, configs: Mapping[str, RunConfig],
    progress: Progress | None = None, say: Say = lambda _: None,
) -> None:  # fmt: skip
    """Train the heads of every dense network and fold, and write their bundles below `work`.

    Args:
        settings: Folders of bundles and caches; the localiser is there.
        work: Folder of the cohorts and of the runs.
        configs: Configs of the dense networks of Types 1 to 3, by name.
        progress: Called with (done, total) of the current step.
        say: Called with one line per step.

    Raises:
        BundleError: There is no localiser.
        CSpineError: As the steps raise it.
    """
    localizer = read_bundle(settings.checkpoints / LOCALIZER)
    first = next(iter(configs.values()))
    records = training_records(work / FOLDS.name)
    truth = cohort_truth(records, first, settings.store, progress)
    say(f"The trunk over {first.epochs} views of each boxed slice, and as many others")
    views = trunk_views(truth, first, localizer, progress)
    digests = [json.dumps(study_digests(r, settings.store.folder), sort_keys=True) for r in records]
    made_by = provenance(fingerprint_keys(digests))
    for fold in range(first.folds):
        for name, model in train_heads(configs, views, truth, fold, localizer, say).items():
            config = configs[name].model_copy(update={"fold": fold})
            write_heads(_folder(work, name, fold), model, config, truth, localizer, made_by)


def stored_presence(
    vertebra: Mapping[str, BundleInfo], cohort: ShippedCohort, records: Sequence[StudyRecord]
) -> CohortOutputs:
    """The shipped predictions of vertebra networks, which are out of fold as well."""
    known = {name: stored_predictions(bundle, cohort) for name, bundle in vertebra.items()}
    return CohortOutputs(
        records, {name: [by_id[r.study_id] for r in records] for name, by_id in known.items()}
    )


def add_dense(
    seen: CohortOutputs, configs: Mapping[str, RunConfig], folds: Mapping[str, int], work: Path,
    store: Store, progress: Progress | None = None,
) -> CohortOutputs:  # fmt: skip
    """Add the outputs of the dense networks in `work` to those of the vertebra networks.

    Args:
        seen: Outputs of vertebra networks on a cohort; that of the default one is Type 2's input.
        configs: Configs of the dense networks by name.
        folds: Fold of each study; 0 where it has none.
        work: Folder of the runs.
        store: Store of prepared slices.
        progress: Called with (studies done, total studies).

    Raises:
        BundleError: A dense network was not trained.
        CSpineError: A study cannot be read.
    """
    raw: Outputs = {**seen.raw, **{name: [] for name in configs}}
    networks: dict[int, dict[str, BundleInfo]] = {}
    models: dict[int, dict[str, DenseModel]] = {}
    for number, record in enumerate(seen.records):
        fold = folds.get(record.study_id, 0)
        if fold not in networks:
            networks[fold] = dense_bundles(work, configs, fold)
            models[fold] = {name: _dense(bundle) for name, bundle in networks[fold].items()}
        known = seen.raw[DEFAULT_NAMES["vertebra"]][number]
        made = _predict(networks[fold], models[fold], known, record, store)
        for name, prediction in made.items():
            raw[name].append(prediction)
        if progress is not None:
            progress(number + 1, len(seen.records))
    return CohortOutputs(seen.records, raw)


def dense_bundles(work: Path, configs: Mapping[str, RunConfig], fold: int) -> dict[str, BundleInfo]:
    """The bundles of a fold by name.

    Raises:
        BundleError: One of them was not trained.
    """
    return {name: read_bundle(_folder(work, name, fold)) for name in configs}


def _folder(work: Path, name: str, fold: int) -> Path:
    return work / "runs" / name / f"fold-{fold}" / "bundle"


def _predict(
    networks: Mapping[str, BundleInfo], models: Mapping[str, DenseModel], known: SlicePredictions,
    record: StudyRecord, store: Store,
) -> dict[str, SlicePredictions]:  # fmt: skip
    """One study's outputs of dense networks."""
    config = next(iter(networks.values())).config
    images = np.asarray(load_box_slices(record, config.preparation, store=store).images)
    made: dict[str, SlicePredictions] = {}
    for name, probs in on_one_trunk(models, images, known.vertebra_probs).items():
        bundle = networks[name]
        f = np.broadcast_to(probs[:, :N_VERTEBRAE], (len(probs), N_VERTEBRAE))
        changes: dict[str, Any] = {"fracture_probs": f.copy(), "fracture_type": bundle.config.type}
        if bundle.config.gives_presence:
            changes["vertebra_probs"] = probs[:, -N_VERTEBRAE:].copy()
        made[name] = replace(known, **changes)
    return made


def _dense(bundle: BundleInfo) -> DenseModel:
    model = load_model(bundle)
    if not isinstance(model, DenseModel):
        raise BundleError(f"Bundle {bundle.config.name} has no maps; train it again.")
    return model
