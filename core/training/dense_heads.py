"""Training of the shipped dense fracture networks: one frozen trunk, a head for each type and fold.

The trunk is the shipped localiser's, which saw none of the studies here. It runs once over every
view of the training cohort; all heads are trained on what it gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from core.config import RunConfig
from core.dataset.rsna import read_studies
from core.models.bundles import UNSAVED_SHA256, BundleConfig, BundleInfo, read_bundle
from core.models.checkpoint import save_bundle
from core.models.dense import POOLED, DenseFractureType3, DenseModel
from core.training.dense_views import BATCH, CohortTruth, TrunkViews, fresh_dense
from core.training.losses import Criterion, loss_for
from core.training.prior_correction import prior_shifts, shift_logits
from core.training.provenance import Provenance
from core.types import Say, StudyRecord

VERTEBRA_PASSES: Final = 20
"""Passes of Type 3's vertebra head over the views, which cost it little."""
_VERTEBRA_BATCH: Final = 256

Heads = Mapping[str, DenseModel]
"""Networks by the name of their bundle."""


def train_heads(
    configs: Mapping[str, RunConfig], views: TrunkViews, truth: CohortTruth, fold: int,
    localizer: BundleInfo, say: Say,
) -> Heads:  # fmt: skip
    """Train the heads of every type on the views of all folds but one.

    Type 1's head sees each view once. Its map of the line serves all types, as they differ in which
    vertebrae it is counted for; maps trained on seven outputs are worse. Type 3's vertebra head is
    trained on the same views.

    Args:
        configs: Configs of the three types by the name of their bundle.
        views: From `trunk_views`.
        truth: Truth of the whole cohort.
        fold: The held-out fold.
        localizer: Bundle of the trunk.
        say: Called with one line per fold.

    Returns:
        The networks in eval mode, their logits corrected for the balanced draw.
    """
    kept = np.flatnonzero(views.fold != fold)
    models: dict[str, DenseModel] = {}
    for name, config in configs.items():
        torch.manual_seed(config.seed)
        models[name] = fresh_dense(config, localizer)
    by_type = {config.type: name for name, config in configs.items()}
    line = models[by_type[1]]
    loss = _train_line(line, configs[by_type[1]], views, kept)
    _correct_prior(line, _criterion(configs[by_type[1]]), truth, fold)
    for name, model in models.items():
        if model is not line:
            take_line(model, line)
        if isinstance(model, DenseFractureType3):
            _train_vertebrae(model, views, kept, configs[name].seed)
            _correct_presence(model, truth, fold)
        model.eval()
    say(f"Heads of fold {fold}: loss {loss:.3f}")
    return models


def take_line(model: DenseModel, line: DenseModel) -> None:
    """Give a network the line map of another, whose one offset counts for every vertebra."""
    state = line.state_dict()
    offset = state.pop("pool.bias")
    model.load_state_dict(state, strict=False)
    with torch.no_grad():
        model.pool.bias.copy_(offset.expand_as(model.pool.bias))


def write_heads(
    folder: Path, model: DenseModel, config: RunConfig, truth: CohortTruth, localizer: BundleInfo,
    made_by: Provenance,
) -> BundleInfo:  # fmt: skip
    """Write one trained network as a bundle.

    Args:
        folder: Folder of the bundle.
        model: The network.
        config: Its config, with the held-out fold.
        truth: Truth of the cohort.
        localizer: Bundle of the trunk.
        made_by: Code, packages and data.

    Raises:
        StorageError: The folder cannot be written.
    """
    kept = truth.fold != config.fold
    ids = sorted(
        study.study_id
        for study, fold in zip(truth.data.studies, truth.study_folds, strict=True)
        if fold != config.fold
    )
    described = config.model_dump(
        mode="json", exclude={"data_root", "annotations", "device", "vertebra_bundle", "init_from"}
    )
    save_bundle(
        folder,
        model,
        BundleConfig(
            name=f"fracture_type{config.type}_dense",
            task=config.task,
            type=config.type,
            backbone=config.backbone,
            head=config.head,
            preparation=config.preparation,
            alpha=config.alpha,
            weights_sha256=UNSAVED_SHA256,
            parameters=1,
            trained_on={
                "synthetic": True,
                "studies": len(ids),
                "slices": int(kept.sum()),
                "boxes": int(truth.data.boxed[kept].sum()),
                "study_ids_sha256": sha256("\n".join(ids).encode()).hexdigest(),
                "data_fingerprint": made_by.data_fingerprint,
                "git_commit": made_by.git_commit,
                "packages": made_by.packages,
                "init_from": localizer.config.name,
                "run": described,
            },
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )
    return read_bundle(folder)


def training_records(root: Path) -> list[StudyRecord]:
    """The studies of the training cohort, in one order."""
    return sorted(read_studies(root), key=lambda record: record.study_id)


def _train_line(
    model: DenseModel, config: RunConfig, views: TrunkViews, kept: NDArray[np.int64]
) -> float:
    """Train a head on each view once; return the mean loss of the last quarter of the steps."""
    order = np.random.default_rng((config.seed, 2)).permutation(kept)
    whole = [order[i : i + BATCH] for i in range(0, len(order) - BATCH + 1, BATCH)]
    batches = whole or [order]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = AdamW(weights, lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = OneCycleLR(
        optimizer, config.learning_rate, total_steps=len(batches), pct_start=config.pct_start
    )
    criterion = _criterion(config)
    model.train()
    losses: list[float] = []
    for rows in batches:
        boxes = [views.boxes[row] for row in rows]
        trunk, v, y = views.trunk(rows), views.presence[rows], views.fractured[rows]
        loss = _loss(model, criterion, trunk, boxes, v, y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, config.gradient_clip)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return float(np.mean(losses[-len(losses) // 4 :]))


def _loss(
    model: DenseModel, criterion: Criterion, trunk: Mapping[str, Tensor], boxes: Sequence[Tensor],
    presence: Tensor, fractured: Tensor,
) -> Tensor:  # fmt: skip
    outputs = model.outputs(trunk, presence)
    totals, weights = criterion.sums(outputs.logits, presence, fractured)
    if criterion.map_loss is not None:
        of_maps = criterion.map_loss.sums(outputs.maps, boxes, fractured)
        totals, weights = (
            torch.cat([every, one[None]])
            for every, one in zip((totals, weights), of_maps, strict=True)
        )
    return criterion.combine(totals, weights)


def _train_vertebrae(
    model: DenseFractureType3, views: TrunkViews, kept: NDArray[np.int64], seed: int
) -> None:
    """Train the vertebra head on the pooled features."""
    criterion = loss_for("vertebra", 1)
    model.train()
    optimizer = AdamW(model.vertebra_head.parameters(), lr=1e-3, weight_decay=1e-2)
    rng = np.random.default_rng((seed, 3))
    for _ in range(VERTEBRA_PASSES):
        order = rng.permutation(kept)
        for start in range(0, len(order), _VERTEBRA_BATCH):
            rows = order[start : start + _VERTEBRA_BATCH]
            logits = model.vertebra_head(views.maps[POOLED][rows].float())
            loss = criterion(logits, views.presence[rows], views.fractured[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _correct_prior(model: DenseModel, criterion: Criterion, truth: CohortTruth, fold: int) -> None:
    """Shift the logits from the rates of the balanced draw to those of the cohort."""
    shift_logits(model.output_layers, _shifts(criterion, truth, fold))


def _correct_presence(model: DenseFractureType3, truth: CohortTruth, fold: int) -> None:
    """As `_correct_prior`, for the presence alone."""
    shift_logits(model.output_layers[1:], _shifts(loss_for("vertebra", 1), truth, fold))


def _shifts(criterion: Criterion, truth: CohortTruth, fold: int) -> NDArray[np.float64]:
    kept = truth.fold != fold
    targets = criterion.targets(
        torch.from_numpy(truth.presence[kept]), torch.from_numpy(truth.fractured[kept])
    )
    return prior_shifts(targets.numpy(), truth.data.boxed[kept])


def _criterion(config: RunConfig) -> Criterion:
    return loss_for(config.task, config.type, config.alpha, config.head)
