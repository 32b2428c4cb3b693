"""Checkpoint bundles as files: their config and metrics, read without torch."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.config import (
    TASK_FACTS,
    BackboneName,
    PreparedConfig,
    SlicePreparation,
    TaskFacts,
    TaskName,
    first_fault,
)
from core.errors import BundleError

WEIGHTS_FILE: Final = "model.safetensors"
CONFIG_FILE: Final = "config.json"
METRICS_FILE: Final = "metrics.json"
OPERATING_POINTS_FILE: Final = "operating_points.json"
COHORTS_FOLDER: Final = "cohorts"
"""Beside the bundles: the truth of the cohorts that they were scored on."""
EXPERIMENTS_FOLDER: Final = "experiments"
"""Beside the bundles: figures of networks that are not shipped."""
_NO_BUNDLES: Final = frozenset({COHORTS_FOLDER, EXPERIMENTS_FOLDER})
UNSAVED_SHA256: Final = "0" * 64
"""Digest in the config of a model that has not been saved yet."""
_ALWAYS_WRITTEN: Final = ("size", "crop", "window_center", "window_width")
"""A bundle without them must not be fed by the defaults of a run."""

_log = logging.getLogger(__name__)


class VertebraContext(BaseModel):
    """How a slice's f_ij is read together with the whole vertebra: `core.inference.context`.

    `top_k` slices stand for the vertebra; `local` and `vertebra` weigh the log odds of the slice
    and of the vertebra, `intercept` is added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    top_k: int = Field(ge=1)
    local: float = Field(ge=0)
    vertebra: float = Field(ge=0)
    intercept: float


class BoxWeights(BaseModel):
    """How a localiser's boxes become fracture probabilities: `core.inference.boxes.evidence`.

    `owner_power` says how sharply a track goes to the vertebra that it shows longest, `score_power`
    how little a weak track counts; `local` and `vertebra` weigh the log odds of the slice and of
    the vertebra, `intercept` is added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner_power: float = Field(ge=0)
    score_power: float = Field(gt=0)
    local: float = Field(ge=0)
    vertebra: float = Field(ge=0)
    intercept: float


class BundleConfig(PreparedConfig):
    """Everything needed to rebuild a bundle's model and to feed it, and where it came from.

    `preparation` is how slices are made ready for the network.
    `alpha` weighed the fracture loss of a Type 3 model. `vertebra_bundle` names the bundle whose
    presence a Type 2 fracture model is meant to read, None where it learnt from masks alone.
    `context` joins a slice's fracture probability with that of its vertebra; None leaves it alone.
    `box_weights` make a localiser's boxes evidence; None where nobody fitted them.
    `created` is ISO 8601 in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    task: TaskName
    type: Literal[1, 2, 3]
    backbone: BackboneName
    preparation: SlicePreparation
    alpha: float = Field(default=2.0, gt=0)
    vertebra_bundle: str | None = None
    anchors: tuple[tuple[tuple[float, float], ...], ...] | None = None
    context: VertebraContext | None = None
    box_weights: BoxWeights | None = None
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
        """What the networks of the task are for."""
        return TASK_FACTS[self.task]

    @property
    def title(self) -> str:
        """What the model does, for a reader."""
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
    def gives_fractures(self) -> bool:
        """Whether it can judge a study: a fracture model, or a localiser whose boxes have weights.

        They are fitted together with the thresholds: `core.experiments.localizer_scores`.
        """
        return self.facts.gives == "fractures" or (
            self.gives_boxes and self.box_weights is not None
        )

    @property
    def reads_presence(self) -> bool:
        """Whether the model needs v_ij beside the image: fracture Type 2."""
        return self.facts.gives == "fractures" and self.type == 2


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """A bundle's folder and what its JSON files say.

    Attributes:
        folder: The bundle.
        config: Its `config.json`.
        metrics: Its `metrics.json`, None where there is none.
        operating_points: Its `operating_points.json`, None where there is none.
    """

    folder: Path
    config: BundleConfig
    metrics: dict[str, Any] | None = None
    operating_points: dict[str, Any] | None = None

    @property
    def weights_file(self) -> Path:
        """The weights, in safetensors format."""
        return self.folder / WEIGHTS_FILE


def read_bundle(folder: Path) -> BundleInfo:
    """Read a bundle's JSON files; the weights are checked when they are loaded.

    Raises:
        BundleError: A file is missing or does not hold what it should.
    """
    content = _read_object(folder / CONFIG_FILE)
    if content is None or not (folder / WEIGHTS_FILE).is_file():
        missing = CONFIG_FILE if content is None else WEIGHTS_FILE
        raise BundleError(f"{folder} has no {missing}; name a bundle's folder, or train it anew.")
    try:
        config = BundleConfig(**content)
    except ValidationError as error:
        raise BundleError(
            f"{folder / CONFIG_FILE}: {first_fault(error)}; mend it or train the bundle anew."
        ) from error
    return BundleInfo(
        folder=folder,
        config=config,
        metrics=_read_object(folder / METRICS_FILE),
        operating_points=_read_object(folder / OPERATING_POINTS_FILE),
    )


def list_bundles(checkpoints: Path) -> list[BundleInfo]:
    """Read all bundles below a folder, by name; broken ones are left out with a logged warning."""
    if not checkpoints.is_dir():
        return []
    found: list[BundleInfo] = []
    for folder in sorted(checkpoints.iterdir()):
        if not folder.is_dir() or folder.name.startswith(".") or folder.name in _NO_BUNDLES:
            continue
        try:
            found.append(read_bundle(folder))
        except BundleError as error:
            _log.warning("Bundle left out: %s", error)
    return found


def _read_object(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is no such file."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read as JSON; restore it or train anew.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path} does not hold a JSON object; restore it or train anew.")
    return content
