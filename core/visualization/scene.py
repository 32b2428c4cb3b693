"""What a scene says beside its surfaces: probabilities, boxes, slices; as JSON for the viewer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.true_boxes import boxes_on_volume
from core.inference.study_scores import StudyScores
from core.types import CTVolume, StudyRecord
from core.visualization.boxes import Corners, join_boxes
from core.visualization.colors import DATA_COLORS, UNKNOWN_COLOR, VERTEBRA_COLORS
from core.visualization.scene_surfaces import SceneParts

DEFAULT_THRESHOLD: Final = 0.5


@dataclass(frozen=True, slots=True)
class SceneLevel:
    """One of C1..C7 in a scene.

    Attributes:
        name: For example "C4".
        color: "#RRGGBB" that stands for it everywhere.
        prob: p_j; None where the networks did not see it or did not run.
        slice_probs: p_i of every slice, equal for all levels; empty before the networks have run.
        slices: First and last slice that show it; None where it is not seen.
        peak: Slice with the highest f_ij v_ij; None where it is not seen.
    """

    name: str
    color: str
    prob: float | None = None
    slice_probs: tuple[float, ...] = ()
    slices: tuple[int, int] | None = None
    peak: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SceneInfo:
    """A scene without its surfaces.

    Attributes:
        levels: C1..C7.
        slice_z: z in LPS mm of every slice where the spine runs.
        center: LPS mm, middle of the vertebrae, or of the volume while none are known.
        true_boxes: Boxes of the data set's table, joined along z.
        predicted_boxes: Boxes of a localiser, joined along z.
        start_slice: Axial slice to show first.
        threshold: From which a vertebra counts as fractured, at first.
        parts: What surfaces there are; names of vertebrae with their centre in LPS mm.
        has_lines: Whether fracture voxels are known.
        has_rest: Whether there is other bone.
        synthetic: Whether the study was generated.
    """

    levels: tuple[SceneLevel, ...]
    slice_z: tuple[float, ...]
    center: tuple[float, float, float]
    parts: Mapping[str, tuple[float, float, float]]
    true_boxes: tuple[Corners, ...] = ()
    predicted_boxes: tuple[Corners, ...] = ()
    start_slice: int = 0
    threshold: float = DEFAULT_THRESHOLD
    has_lines: bool = False
    has_rest: bool = True
    synthetic: bool = False

    @property
    def suspect(self) -> SceneLevel | None:
        """The level with the highest probability that has a surface, the first of equals."""
        seen = [
            level for level in self.levels if level.prob is not None and level.name in self.parts
        ]
        return max(seen, key=lambda level: level.prob or 0.0, default=None)

    @property
    def absent(self) -> tuple[str, ...]:
        """Layers this scene cannot show."""
        there = {
            "true_boxes": bool(self.true_boxes),
            "predicted_boxes": bool(self.predicted_boxes),
            "fractures": self.has_lines,
            "rest": self.has_rest,
        }
        return tuple(name for name, exists in there.items() if not exists)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the viewer reads them; mm to 0.01, probabilities to 0.0001."""
        return {
            "levels": {level.name: _level_json(level) for level in self.levels},
            "slice_z": [round(z, 2) for z in self.slice_z],
            "n_slices": len(self.slice_z),
            "center": [round(v, 2) for v in self.center],
            "true_boxes": [self._box_json(box) for box in self.true_boxes],
            "predicted_boxes": [self._box_json(box) for box in self.predicted_boxes],
            "start_slice": self.start_slice,
            "suspect": None if self.suspect is None else self.suspect.name,
            "threshold": round(self.threshold, 4),
            "absent": list(self.absent),
            "synthetic": self.synthetic,
            "colors": DATA_COLORS,
        }

    def with_parts(self, parts: SceneParts) -> SceneInfo:
        """The same of a scene whose surfaces are there now."""
        center = self.center
        if parts.vertebrae:
            spine = np.concatenate([surface.points for surface in parts.vertebrae.values()])
            center = _triple((spine.min(axis=0) + spine.max(axis=0)).astype(np.float64) / 2)
        return replace(
            self,
            center=center,
            parts={name: _triple(surface.center) for name, surface in parts.vertebrae.items()},
            has_lines=bool(parts.fractures),
            has_rest=parts.rest is not None,
        )

    def digest(self) -> str:
        """sha256 of all that it says but the threshold, which moves."""
        said = {name: value for name, value in self.to_json().items() if name != "threshold"}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def _box_json(self, box: Corners) -> dict[str, Any]:
        distance = {
            name: float(np.linalg.norm(box.mean(axis=0) - np.array(center)))
            for name, center in self.parts.items()
        }
        return {
            "corners": np.round(box, 2).tolist(),
            "vertebra": min(distance, key=lambda name: distance[name], default=None),
        }


def scene_info(
    volume: CTVolume,
    parts: SceneParts | None,
    levels: Mapping[str, SceneLevel],
    *,
    true_boxes: tuple[Corners, ...] = (),
    predicted_boxes: tuple[Corners, ...] = (),
    start_slice: int | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    synthetic: bool = False,
) -> SceneInfo:
    """Gather what a scene says.

    Args:
        volume: The series.
        parts: Its surfaces; None while they are being built, see `SceneInfo.with_parts`.
        levels: C1..C7 by name; one that is missing counts as not judged.
        true_boxes: As in `SceneInfo`, and so are the others.
        predicted_boxes: See there.
        start_slice: See there; the middle one by default.
        threshold: See there.
        synthetic: See there.
    """
    _, rows, columns = volume.hu.shape
    index = np.zeros((volume.n_slices, 3))
    index[:, 0] = np.arange(volume.n_slices)
    index[:, 1:] = (rows - 1) / 2, (columns - 1) / 2
    world = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    info = SceneInfo(
        levels=tuple(levels.get(name, SceneLevel(name, UNKNOWN_COLOR)) for name in VERTEBRAE),
        slice_z=tuple(float(z) for z in world[:, 2]),
        center=_triple(world.mean(axis=0)),
        parts={},
        true_boxes=true_boxes,
        predicted_boxes=predicted_boxes,
        start_slice=volume.n_slices // 2 if start_slice is None else start_slice,
        threshold=threshold,
        synthetic=synthetic,
    )
    return info if parts is None else info.with_parts(parts)


def _level_json(level: SceneLevel) -> dict[str, Any]:
    return {
        "color": level.color,
        "prob": None if level.prob is None else round(level.prob, 4),
        "slice_probs": [round(p, 4) for p in level.slice_probs],
        "slices": None if level.slices is None else list(level.slices),
        "peak": level.peak,
    }


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z


def true_boxes(record: StudyRecord | None, volume: CTVolume) -> tuple[Corners, ...]:
    """The boxes of the data set's table in the patient."""
    if record is None:
        return ()
    return join_boxes(boxes_on_volume(record.boxes, volume), volume)


def scene_levels(scores: StudyScores | None, *, judged: bool = True) -> dict[str, SceneLevel]:
    """C1..C7 as the networks see them; without probabilities before they have run.

    Args:
        scores: Scores of the study.
        judged: Whether a call is made; otherwise the scene shows no probabilities either.
    """
    if scores is None or not judged:
        return {name: SceneLevel(name, color) for name, color in VERTEBRA_COLORS.items()}
    slice_probs = tuple(float(p) for p in scores.patient.slice_probs)
    return {
        name: SceneLevel(
            name,
            VERTEBRA_COLORS[name],
            prob=None if scores.ranges[j] is None else float(scores.patient.vertebra_probs[j]),
            slice_probs=slice_probs,
            slices=scores.ranges[j],
            peak=None if scores.ranges[j] is None else scores.peaks[j],
        )
        for j, name in enumerate(VERTEBRAE)
    }
