"""Annotations of one study: judged boxes, a verdict, who said so and when."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.constants import VERTEBRAE
from core.errors import AnnotationError
from core.types import BoxXyxy, TableBox

BoxStatus = Literal["accepted", "rejected", "redrawn", "added"]
"""A predicted box that is right, wrong or misplaced, or one that was not predicted."""
VertebraName = Literal["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
Verdict = tuple[bool, bool, bool, bool, bool, bool, bool]
"""Whether C1..C7 are fractured."""
Initials = Annotated[str, Field(pattern=r"^[A-Z]{1,4}$")]
EDGE_STEP_PX: Final = 1 / 64
"""Edges are multiples of this: exact in binary and in six decimals, so tables give them back."""
MAX_BOXES: Final = 5_000
_FROZEN: Final = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AnnotatedBox(BaseModel):
    """One box with what was decided about it.

    `slice_number` is the number of the DICOM file and `xyxy` lies on its pixels, as in RSNA's
    table; `predicted` is where a network had put a redrawn box, `score` what it gave.
    """

    model_config = _FROZEN

    slice_number: int = Field(ge=0, lt=2**31)
    xyxy: BoxXyxy
    status: BoxStatus
    vertebra: VertebraName | None = None
    predicted: BoxXyxy | None = None
    score: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _has_size(self) -> AnnotatedBox:
        left, top, right, bottom = self.xyxy
        if not (0 <= left < right and 0 <= top < bottom):
            raise ValueError("a box needs left < right and top < bottom, both 0 or more")
        return self

    @property
    def kept(self) -> bool:
        """Whether it counts as a true box."""
        return self.status != "rejected"

    def snapped(self) -> AnnotatedBox:
        """The box with edges on multiples of `EDGE_STEP_PX`."""
        left, top, right, bottom = (round(v / EDGE_STEP_PX) * EDGE_STEP_PX for v in self.xyxy)
        return self.model_copy(update={"xyxy": (left, top, right, bottom)})


class AnnotationDraft(BaseModel):
    """An annotation as it is to be saved.

    `base` is the revision that the author saw, 0 for none. `fractured` is the verdict on C1..C7,
    None where there is none.
    """

    model_config = _FROZEN

    base: int = Field(ge=0)
    author: Initials
    boxes: tuple[AnnotatedBox, ...] = Field(default=(), max_length=MAX_BOXES)
    fractured: Verdict | None = None
    note: str = Field(default="", max_length=500)

    @model_validator(mode="after")
    def _agrees(self) -> AnnotationDraft:
        kept = [box.vertebra for box in self.boxes if box.kept]
        if self.fractured is None or not kept:
            return self
        if not any(self.fractured):
            raise ValueError("a box is kept, but the verdict calls every vertebra intact")
        for name in kept:
            if name is not None and not self.fractured[VERTEBRAE.index(name)]:
                raise ValueError(f"a box of {name} is kept, but the verdict calls {name} intact")
        return self


def drafted(**values: Any) -> AnnotationDraft:  # noqa: ANN401 - any field value
    """Make a draft of values that a person entered.

    Raises:
        AnnotationError: A value is out of range, or boxes and verdict disagree.
    """
    try:
        return AnnotationDraft(**values)
    except ValidationError as error:
        raise _refused(error) from error


def drafted_box(**values: Any) -> AnnotatedBox:  # noqa: ANN401 - any field value
    """Make a box of values that a person entered.

    Raises:
        AnnotationError: A value is out of range.
    """
    try:
        return AnnotatedBox(**values)
    except ValidationError as error:
        raise _refused(error) from error


def _refused(error: ValidationError) -> AnnotationError:
    first = error.errors()[0]
    names = {"author": "the initials must be 1 to 4 capital letters"}
    said = names.get(str(first["loc"][0]) if first["loc"] else "", str(first["msg"]))
    return AnnotationError(
        f"This annotation cannot be saved: {said.removeprefix('Value error, ')}; correct it."
    )


class StudyAnnotation(AnnotationDraft):
    """One version of a study's annotation, a line of its file.

    `revision` counts the versions that hold, from 1. A refused one was saved by somebody who had
    not seen the version before it: it is kept for its author to look at, and never used.
    """

    study_id: str
    revision: int = Field(ge=1)
    at: AwareDatetime
    refused: bool = False

    @property
    def table_boxes(self) -> tuple[TableBox, ...]:
        """The boxes that count, as rows of RSNA's table."""
        return tuple((box.slice_number, box.xyxy) for box in self.boxes if box.kept)
