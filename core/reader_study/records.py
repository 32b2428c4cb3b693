"""What is kept of a reader study: its plan, the model's scores, and what each reader did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from core.errors import ReaderStudyError
from core.types import BoxXyxy, StudyId

HelpPlan = Literal["without", "with", "crossover"]
"""Whether readers see the model's scores: none, all, or each on half of the cases."""
OrderPlan = Literal["same", "per reader"]
VertebraName = Literal["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
Flags = tuple[bool, bool, bool, bool, bool, bool, bool]
"""Whether C1..C7 are fractured."""
Probability = Annotated[float, Field(ge=0, le=1)]
Seven = tuple[
    Probability, Probability, Probability, Probability, Probability, Probability, Probability
]
RATINGS: Final = (
    "certainly not", "probably not", "rather not", "rather yes", "probably", "certainly",
)  # fmt: skip
"""The six answers to "is there a fracture?", rated 1 to 6; from 4 on the study is called."""
CALLED_FROM: Final = 4
MAX_CASES: Final = 60
MAX_BOXES: Final = 20
MAX_SEED: Final = 2**31 - 1
_FROZEN: Final = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StudyCase(BaseModel):
    """A study that is read, with its truth."""

    model_config = _FROZEN

    study_id: str
    fractured: Flags

    @field_validator("study_id")
    @classmethod
    def _is_an_id(cls, text: str) -> str:
        if not StudyId.fits(text):
            raise ValueError("a case is not named by a StudyInstanceUID")
        return text

    @property
    def patient(self) -> bool:
        """Whether any vertebra is fractured."""
        return any(self.fractured)


class CaseScores(BaseModel):
    """What the model says of one case: p, p_j, and the slice to look at for each vertebra."""

    model_config = _FROZEN

    prob: Probability
    vertebrae: Seven
    slices: tuple[int, int, int, int, int, int, int]


class ModelScores(BaseModel):
    """The model's scores of all cases, in their order; a probability >= `threshold` is a call."""

    model_config = _FROZEN

    title: str = Field(min_length=1, max_length=200)
    threshold: Probability
    cases: tuple[CaseScores, ...]


class ReaderStudyPlan(BaseModel):
    """What a lecturer decides about a reader study.

    `root` is the data root of the cases. `seed` draws halves and orders, `limit_s` is how long a
    scan can be looked at; None for as long as a reader likes.
    """

    model_config = _FROZEN

    title: str = Field(min_length=1, max_length=80)
    root: Path
    cases: tuple[StudyCase, ...] = Field(min_length=2, max_length=MAX_CASES)
    help: HelpPlan = "without"
    order: OrderPlan = "same"
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    limit_s: int | None = Field(default=None, ge=10, le=3600)

    @model_validator(mode="after")
    def _holds_together(self) -> ReaderStudyPlan:
        if len({case.study_id for case in self.cases}) < len(self.cases):
            raise ValueError("a study is among the cases twice")
        if len({case.patient for case in self.cases}) < 2:
            raise ValueError("the cases need at least one study with and one without a fracture")
        if self.help == "crossover" and len(self.cases) < 4:
            raise ValueError("a crossover needs at least four cases")
        return self


class ReaderStudy(ReaderStudyPlan):
    """A reader study as it is kept.

    `code` is what readers join with. `secret` makes their ids from their tokens, and never leaves
    the server. `ended` is when answers stopped being taken and results could be seen.
    """

    code: str = Field(pattern=r"^[A-Z2-9]{6}$")
    secret: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    made: AwareDatetime
    ended: AwareDatetime | None = None
    model: ModelScores | None = None

    @property
    def is_ready(self) -> bool:
        """Whether readers may begin: the model's scores are there if any reader is to see them."""
        return self.help == "without" or self.model is not None

    @property
    def takes_answers(self) -> bool:
        """Whether readers may answer now."""
        return self.is_ready and self.ended is None


class MarkedBox(BaseModel):
    """A box that a reader drew; `xyxy` in pixels of the slice as it is shown."""

    model_config = _FROZEN

    slice_index: int = Field(ge=0, lt=2**31)
    xyxy: BoxXyxy

    @model_validator(mode="after")
    def _has_size(self) -> MarkedBox:
        left, top, right, bottom = self.xyxy
        if not (0 <= left < right and 0 <= top < bottom):
            raise ValueError("a box needs left < right and top < bottom, both 0 or more")
        return self


class AnswerDraft(BaseModel):
    """What a reader says of a case; `boxes_right` counts boxes on a true one, for the results."""

    model_config = _FROZEN

    rating: int = Field(ge=1, le=len(RATINGS))
    vertebrae: tuple[VertebraName, ...] = Field(default=(), max_length=7)
    boxes: tuple[MarkedBox, ...] = Field(default=(), max_length=MAX_BOXES)
    boxes_right: int = Field(default=0, ge=0)

    @property
    def called(self) -> bool:
        """Whether the reader calls the study fractured."""
        return self.rating >= CALLED_FROM

    @model_validator(mode="after")
    def _agrees(self) -> AnswerDraft:
        if len(set(self.vertebrae)) < len(self.vertebrae):
            raise ValueError("a vertebra is named twice")
        if self.boxes_right > len(self.boxes):
            raise ValueError("more boxes are right than were drawn")
        if not self.called and (self.vertebrae or self.boxes):
            raise ValueError("a vertebra or box is marked, but the study is called not fractured")
        return self


class Joined(BaseModel):
    """First line of a reader's file; `number` counts readers from 1."""

    model_config = _FROZEN

    kind: Literal["joined"] = "joined"
    number: int = Field(ge=1)
    at: AwareDatetime


class Shown(BaseModel):
    """A case was shown for the first time; its time begins."""

    model_config = _FROZEN

    kind: Literal["shown"] = "shown"
    case: int = Field(ge=0, lt=MAX_CASES)
    at: AwareDatetime


class Answered(AnswerDraft):
    """An answer as it is kept; `seconds` are from `Shown` to its arrival, by the server's clock."""

    kind: Literal["answered"] = "answered"
    case: int = Field(ge=0, lt=MAX_CASES)
    helped: bool
    seconds: float = Field(ge=0)
    at: AwareDatetime


ReaderEvent = Annotated[Joined | Shown | Answered, Field(discriminator="kind")]
EVENTS: Final[TypeAdapter[Joined | Shown | Answered]] = TypeAdapter(ReaderEvent)


def planned(**values: Any) -> ReaderStudyPlan:  # noqa: ANN401 - any field value
    """Make a plan of values that a person chose.

    Raises:
        ReaderStudyError: A value is out of range, or the values do not fit together.
    """
    try:
        return ReaderStudyPlan(**values)
    except ValidationError as error:
        raise ReaderStudyError(
            f"This reader study cannot be made: {_said(error)}; correct it."
        ) from error


def drafted_answer(**values: Any) -> AnswerDraft:  # noqa: ANN401 - any field value
    """Make an answer of values that a reader entered.

    Raises:
        ReaderStudyError: A value is out of range, or the values contradict each other.
    """
    try:
        return AnswerDraft(**values)
    except ValidationError as error:
        raise ReaderStudyError(
            f"This answer cannot be kept: {_said(error)}; correct it."
        ) from error


def _said(error: ValidationError) -> str:
    first = error.errors()[0]
    names = {
        "title": "its title needs 1 to 80 characters",
        "cases": f"it needs 2 to {MAX_CASES} cases",
        "limit_s": "the time for a case is 10 to 3,600 seconds",
        "seed": f"the seed is a whole number from 0 to {MAX_SEED}",
        "rating": "the question whether there is a fracture is not answered",
        "boxes": f"at most {MAX_BOXES} boxes, each with a size, can be kept",
    }
    key = str(first["loc"][0]) if first["loc"] else ""
    return names.get(key, str(first["msg"]).removeprefix("Value error, "))
