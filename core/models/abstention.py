"""What a bundle ships to abstain: a distribution reference, and a conformal region for its calls.

Read without torch. Both are fitted by `core.experiments.abstention` after a network is trained, and
count only for the weights they were fitted for.
"""

from __future__ import annotations

import hashlib
import logging
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as arrays_to_bytes

from core.errors import BundleError, first_fault
from core.system.atomic_files import write_bytes, write_text

ABSTENTION_FILE: Final = "abstention.json"
LEVELS_FILE: Final = "distribution.safetensors"

_log = logging.getLogger(__name__)


class DistributionReference(BaseModel):
    """Distances of reference studies from the level statistics of `distribution.safetensors`.

    `cohort` describes the reference studies. `distance` is the distance at which the distribution
    score is 1: the 99th percentile of `studies` reference studies, each held back from the fit.
    `scores` are their distribution scores, ascending.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cohort: dict[str, Any]
    studies: int = Field(ge=1)
    distance: float = Field(gt=0)
    scores: tuple[float, ...]
    arrays_sha256: str = Field(pattern="^[0-9a-f]{64}$")

    def percentile(self, score: float) -> float:
        """Share of the reference studies with at most this distribution score, in percent."""
        return 100.0 * bisect_right(self.scores, score) / len(self.scores)


class CallRegion(BaseModel):
    """Which answers a patient probability leaves open at a stated coverage.

    "Fractured" is in the region from `fractured_from` upwards, "not fractured" up to
    `not_fractured_to`. Fitted on `fractured` and `not_fractured` studies that the network was not
    trained on: `core.inference.conformal`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: float = Field(gt=0, lt=1)
    fractured_from: float = Field(ge=0, le=1)
    not_fractured_to: float = Field(ge=0, le=1)
    fractured: int = Field(ge=1)
    not_fractured: int = Field(ge=1)
    chosen_on: str

    def contains(self, prob: float, *, fractured: bool) -> bool:
        """Whether an answer is in the region of a patient probability."""
        return prob >= self.fractured_from if fractured else prob <= self.not_fractured_to


class Abstention(BaseModel):
    """Content of a bundle's `abstention.json`; a part that was not fitted is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    distribution: DistributionReference | None = None
    region: CallRegion | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LevelStatistics:
    """Mean features of C1..C7 and how those of a study vary around them.

    Attributes:
        means: float32 (7, features), over reference studies.
        components: float32 (k, features), orthonormal directions of the largest variances.
        variances: float32 (k,), variance along each.
        rest: Variance along every other direction.
    """

    means: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: NDArray[np.float32]
    rest: float


def read_abstention(folder: Path, weights_sha256: str) -> Abstention | None:
    """Read a bundle's `abstention.json`; None if there is none or it is for other weights.

    Args:
        folder: Folder of the bundle.
        weights_sha256: Digest of the bundle's weights.

    Raises:
        BundleError: The file is damaged.
    """
    file = folder / ABSTENTION_FILE
    if not file.is_file():
        return None
    try:
        found = Abstention.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise BundleError(
            f"{file}: {first_fault(error)}; restore it or run `python -m core demo-abstention`."
        ) from error
    except OSError as error:
        raise BundleError(f"{file} cannot be read; restore it.") from error
    if found.weights_sha256 != weights_sha256:
        _log.warning("%s was fitted for other weights and is not used.", file)
        return None
    return found


def write_abstention(
    folder: Path, content: Abstention, statistics: LevelStatistics | None = None
) -> None:
    """Write `abstention.json` and, with a new reference, `distribution.safetensors`.

    Args:
        folder: Folder of the bundle.
        content: The digest of the arrays is filled in where `statistics` are given.
        statistics: Of the network, components in half precision; None to keep the stored ones.

    Raises:
        StorageError: The folder cannot be written.
    """
    if statistics is not None and content.distribution is not None:
        arrays = {
            # In half precision the means would be off by more than studies differ along most
            # directions.
            "means": statistics.means.astype(np.float32),
            "components": statistics.components.astype(np.float16),
            "variances": statistics.variances.astype(np.float32),
            "rest": np.array([statistics.rest], np.float32),
        }
        # safetensors stores the memory of an array as it lies, transposed or not.
        payload = arrays_to_bytes({k: np.ascontiguousarray(v) for k, v in arrays.items()})
        write_bytes(folder / LEVELS_FILE, payload)
        digest = hashlib.sha256(payload).hexdigest()
        reference = content.distribution.model_copy(update={"arrays_sha256": digest})
        content = content.model_copy(update={"distribution": reference})
    # The JSON file goes last: the arrays count only with their digest in it.
    write_text(folder / ABSTENTION_FILE, content.model_dump_json(indent=2) + "\n")


def load_statistics(folder: Path, reference: DistributionReference) -> LevelStatistics:
    """Read the level statistics of a bundle.

    Raises:
        BundleError: The file is missing, damaged, or not the one `abstention.json` was written for.
    """
    file = folder / LEVELS_FILE
    remedy = "restore it or run `python -m core demo-abstention`"
    try:
        payload = file.read_bytes()
    except OSError as error:
        raise BundleError(f"{file} cannot be read; {remedy}.") from error
    if hashlib.sha256(payload).hexdigest() != reference.arrays_sha256:
        raise BundleError(f"{file} is not the file its {ABSTENTION_FILE} names; {remedy}.")
    try:
        arrays = arrays_from_bytes(payload)
        return LevelStatistics(
            means=arrays["means"],
            components=arrays["components"].astype(np.float32),
            variances=arrays["variances"],
            rest=float(arrays["rest"][0]),
        )
    except (SafetensorError, KeyError) as error:
        raise BundleError(f"{file} holds no level statistics; {remedy}.") from error
