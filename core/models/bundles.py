"""Checkpoint bundles as files: their config and metrics, read without torch."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.config import PreparedConfig, SlicePreparation
from core.constants import TASK_FACTS, HeadName, NetworkName, TaskFacts, TaskName
from core.errors import BundleError, first_fault
from core.models.abstention import (
    Abstention,
    CallRegion,
    DistributionReference,
    read_abstention,
)
from core.models.ensemble_recipe import METHOD_NAMES, EnsembleRecipe

WEIGHTS_FILE: Final = "model.safetensors"
CONFIG_FILE: Final = "config.json"
METRICS_FILE: Final = "metrics.json"
OPERATING_POINTS_FILE: Final = "operating_points.json"
TEAM_POINTS_FOLDER: Final = "operating_points"
"""Folder below `var/`: bundles in git are never written to by an installation."""
MODEL_CARD_FILE: Final = "MODEL_CARD.md"
COHORTS_FOLDER: Final = "cohorts"
"""Next to the bundles: truth of the cohorts that they were scored on."""
EXPERIMENTS_FOLDER: Final = "experiments"
"""Next to the bundles: figures of networks that are not shipped."""
_NO_BUNDLES: Final = frozenset({COHORTS_FOLDER, EXPERIMENTS_FOLDER})
UNSAVED_SHA256: Final = "0" * 64
"""Digest in the config of a model that has not been saved yet."""
_ALWAYS_WRITTEN: Final = ("size", "crop", "window_center", "window_width")
"""Required in a bundle without `preparation`: a run's defaults must not stand in for them."""

_log = logging.getLogger(__name__)


class VertebraContext(BaseModel):
    """How a slice's f_ij is combined with the whole vertebra's: `core.inference.context`.

    `top_k` slices represent the vertebra; `local` and `vertebra` weight the log odds of the slice
    and of the vertebra, `intercept` is added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    top_k: int = Field(ge=1)
    local: float = Field(ge=0)
    vertebra: float = Field(ge=0)
    intercept: float


class BoxWeights(BaseModel):
    """How a localiser's boxes become fracture probabilities: `core.inference.boxes.evidence`.

    `owner_power` sets how sharply a track is assigned to the vertebra in view on most of its
    slices, `score_power` how little a weak track counts; `local` and `vertebra` weight the log odds
    of the slice and of the vertebra, `intercept` is added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner_power: float = Field(ge=0)
    score_power: float = Field(gt=0)
    local: float = Field(ge=0)
    vertebra: float = Field(ge=0)
    intercept: float


class BundleConfig(PreparedConfig):
    """Everything needed to rebuild a bundle's model, prepare its input, and trace its origin.

    `preparation` is how slices are prepared for the network.
    `head` is "dense" for a network with line maps.
    `alpha` is the weight of a Type 3 model's fracture loss. `vertebra_bundle` names the bundle
    whose presence a Type 2 fracture model takes as input, None if it was trained on masks alone.
    `context` combines a slice's fracture probability with that of its vertebra; None: not combined.
    `box_weights` turn a localiser's boxes into fracture probabilities; None: not fitted.
    `track_weights` combine a slice's fracture probability with the tracks of lines along the study,
    instead of `context`: `core.inference.line_tracks`; None: not combined.
    `created` is ISO 8601 in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    task: TaskName
    type: Literal[1, 2, 3]
    backbone: NetworkName
    head: HeadName = "pooled"
    preparation: SlicePreparation
    alpha: float = Field(default=2.0, gt=0)
    vertebra_bundle: str | None = None
    anchors: tuple[tuple[tuple[float, float], ...], ...] | None = None
    context: VertebraContext | None = None
    box_weights: BoxWeights | None = None
    track_weights: BoxWeights | None = None
    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    parameters: int = Field(ge=1)
    trained_on: dict[str, Any]
    created: str

    @model_validator(mode="before")
    @classmethod
    def _prepares_as_written(cls, content: Any) -> Any:  # noqa: ANN401 - whatever a caller gives
        if isinstance(content, dict) and "preparation" not in content:
            missing = [key for key in _ALWAYS_WRITTEN if key not in content]
            if missing:
                raise ValueError(f"{missing[0]} is missing")
        return content

    @property
    def facts(self) -> TaskFacts:
        """Facts about the bundle's task."""
        return TASK_FACTS[self.task]

    @property
    def title(self) -> str:
        """What the model does, as a title."""
        return self.facts.title_of(self.type)

    @property
    def gives_presence(self) -> bool:
        """Whether the model scores v_ij: every vertebra model, and fracture Type 3."""
        return self.facts.gives == "presence" or self.type == 3

    @property
    def gives_boxes(self) -> bool:
        """Whether the model is a localiser."""
        return self.facts.gives == "boxes"

    @property
    def gives_labels(self) -> bool:
        """Whether the model labels voxels: a segmenter."""
        return self.facts.gives == "labels"

    @property
    def gives_fractures(self) -> bool:
        """Whether the model predicts fractures: a fracture model, or a localiser with box weights.

        The weights are fitted together with the thresholds: `core.experiments.localizer_scores`.
        """
        return self.facts.gives == "fractures" or (
            self.gives_boxes and self.box_weights is not None
        )

    @property
    def gives_maps(self) -> bool:
        """Whether the model gives a map of the fracture line."""
        return self.head == "dense"

    @property
    def takes_presence(self) -> bool:
        """Whether the model takes v_ij as input in addition to the image: fracture Type 2."""
        return self.facts.gives == "fractures" and self.type == 2

    @property
    def uses_boxes(self) -> bool:
        """Whether its scores are based on a localiser's boxes."""
        return self.gives_boxes

    @property
    def explains_slices(self) -> bool:
        """Whether a heat map can explain its score of a slice."""
        return not self.gives_boxes

    @property
    def built_as(self) -> str:
        """What computes the scores, in words."""
        return self.backbone


class EnsembleConfig(BundleConfig):
    """An ensemble of bundles that predicts fractures: `core.inference.ensemble`.

    It has no weights of its own: `weights_sha256` is the digest of the recipe, `parameters` the sum
    over its members, and `backbone` and `preparation` are those of the member with the largest
    weight. `vertebra_bundle` names the vertebra network that the members were measured with.
    """

    ensemble: EnsembleRecipe

    @model_validator(mode="after")
    def _predicts_fractures(self) -> Self:
        if (self.task, self.type) != ("fracture", 2):
            raise ValueError("an ensemble has the task fracture and the type 2")
        return self

    @property
    def title(self) -> str:
        """What the model does, as a title."""
        return "Ensemble for fracture detection"

    @property
    def takes_presence(self) -> bool:
        """Its members take what they need."""
        return False

    @property
    def uses_boxes(self) -> bool:
        """Whether a member is a localiser."""
        return any(member.gives_boxes for member in self.ensemble.members)

    @property
    def explains_slices(self) -> bool:
        """A heat map explains a single network."""
        return False

    @property
    def built_as(self) -> str:
        """Method and number of members."""
        return f"{METHOD_NAMES[self.ensemble.method]} of {len(self.ensemble.members)} networks"


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """A bundle's folder and the content of its JSON files.

    Attributes:
        folder: Folder of the bundle.
        config: Content of `config.json`.
        metrics: Content of `metrics.json`, None if there is none.
        operating_points: Content of `operating_points.json`, None if there is none.
        team_points: Operating points that this installation uses instead, None if there are none.
        abstention: Content of `abstention.json`, None if there is none for these weights.
    """

    folder: Path
    config: BundleConfig
    metrics: dict[str, Any] | None = None
    operating_points: dict[str, Any] | None = None
    team_points: dict[str, Any] | None = None
    abstention: Abstention | None = None

    @property
    def reference(self) -> DistributionReference | None:
        """Reference studies to compare a study with; None without a distribution reference."""
        return None if self.abstention is None else self.abstention.distribution

    @property
    def region(self) -> CallRegion | None:
        """Conformal region of the patient's call; None without one."""
        return None if self.abstention is None else self.abstention.region

    @property
    def weights_file(self) -> Path:
        """The weights, in safetensors format."""
        return self.folder / WEIGHTS_FILE


def read_bundle(folder: Path) -> BundleInfo:
    """Read a bundle's JSON files; the weights are checked when they are loaded.

    Raises:
        BundleError: A file is missing or has invalid content.
    """
    content = read_json_object(folder / CONFIG_FILE)
    kind = EnsembleConfig if content is not None and "ensemble" in content else BundleConfig
    has_weights = kind is EnsembleConfig or (folder / WEIGHTS_FILE).is_file()
    if content is None or not has_weights:
        missing = CONFIG_FILE if content is None else WEIGHTS_FILE
        raise BundleError(f"{folder} has no {missing}; name a bundle's folder, or train it again.")
    try:
        config = kind(**content)
    except ValidationError as error:
        raise BundleError(
            f"{folder / CONFIG_FILE}: {first_fault(error)}; correct it or train the bundle again."
        ) from error
    return BundleInfo(
        folder=folder,
        config=config,
        metrics=read_json_object(folder / METRICS_FILE),
        operating_points=read_json_object(folder / OPERATING_POINTS_FILE),
        abstention=read_abstention(folder, config.weights_sha256),
    )


def team_points_file(var: Path, config: BundleConfig) -> Path:
    """File of the operating points that an installation has set for a network.

    Its name holds the digest of the weights: points of other weights do not count.

    Args:
        var: Folder of the installation's own data.
        config: Config of the network's bundle.
    """
    name = re.sub(r"[^\w.-]", "-", config.name)
    return var / TEAM_POINTS_FOLDER / f"{name}-{config.weights_sha256[:12]}.json"


def with_team_points(bundle: BundleInfo, var: Path) -> BundleInfo:
    """A bundle with the operating points that an installation has set.

    Args:
        bundle: The bundle as shipped.
        var: Folder of the installation's own data.

    Raises:
        BundleError: The installation's file is damaged.
    """
    file = team_points_file(var, bundle.config)
    return replace(bundle, team_points=read_json_object(file))


def list_bundles(checkpoints: Path, var: Path | None = None) -> list[BundleInfo]:
    """Read all bundles below a folder, by name; invalid ones are left out with a logged warning.

    Args:
        checkpoints: Folder of bundles.
        var: Folder of the installation's own data, whose operating points are used; None for the
            shipped ones.
    """
    if not checkpoints.is_dir():
        return []
    found: list[BundleInfo] = []
    for folder in sorted(checkpoints.iterdir()):
        if not folder.is_dir() or folder.name.startswith(".") or folder.name in _NO_BUNDLES:
            continue
        try:
            bundle = read_bundle(folder)
            found.append(bundle if var is None else with_team_points(bundle, var))
        except BundleError as error:
            _log.warning("Bundle left out: %s", error)
    return found


def read_json_object(path: Path) -> dict[str, Any] | None:
    """Read a bundle's JSON object; None if there is no such file.

    Raises:
        BundleError: The file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read as JSON; restore it or train again.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path} does not hold a JSON object; restore it or train again.")
    return content
