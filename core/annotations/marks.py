"""Marks on a study's pictures, such as lengths and regions: places only, never what they measure.

A mark is small and drawn quickly, so marks are kept apart from the annotations: each change is a
line of its own, and people who mark the same study at the same time do not meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.annotations.study_log import StudyLogs
from core.errors import AnnotationError

FOLDER_NAME: Final = "marks"
"""Folder below that of the annotations."""
MarkKind = Literal["length", "angle", "cobb", "ellipse", "rectangle", "probe", "arrow", "box"]
Plane = Literal["axial", "sagittal", "coronal"]
PointLps = tuple[float, float, float]
"""x, y, z in mm, DICOM LPS: they hold however the study is oriented for display."""
POINTS: Final[dict[MarkKind, int]] = {
    "length": 2, "angle": 3, "cobb": 4, "ellipse": 2, "rectangle": 2, "probe": 1, "arrow": 2,
    "box": 2,
}  # fmt: skip
MAX_MARKS: Final = 1_000
"""Of one study."""
MarkName = Annotated[str, Field(pattern=r"^[a-z0-9]{4,40}$")]
_FROZEN: Final = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Mark(BaseModel):
    """A mark on one plane of a study.

    A length has two ends, an angle its vertex as second point, a Cobb angle the ends of two lines;
    of regions and boxes the points are opposite corners, of an arrow its tip and its tail. `text`
    is what an arrow or box says.
    """

    model_config = _FROZEN

    kind: MarkKind
    plane: Plane
    points: tuple[PointLps, ...]
    text: str = Field(default="", max_length=120)

    @model_validator(mode="after")
    def _has_its_points(self) -> Mark:
        if len(self.points) != POINTS[self.kind]:
            raise ValueError(f"{self.kind} needs {POINTS[self.kind]} points")
        return self


class MarkChange(BaseModel):
    """A line of the file: a mark from now on, or none."""

    model_config = _FROZEN

    at: AwareDatetime
    name: MarkName
    mark: Mark | None


@dataclass(frozen=True, slots=True)
class MarkLog:
    """The marks of a study.

    Attributes:
        marks: By name, in the order in which they were first drawn.
        problems: One sentence for each line that cannot be read.
    """

    marks: Mapping[str, Mark]
    problems: tuple[str, ...] = ()


class MarkStore:
    """Marks below one folder, one file per study.

    Args:
        folder: Made when the first mark is saved; never inside the data set.
    """

    def __init__(self, folder: Path) -> None:
        self._logs = StudyLogs(folder)

    def read(self, study_id: str) -> MarkLog:
        """Read the marks of a study.

        Raises:
            AnnotationError: The file cannot be opened.
            DataRootError: The id is not the name of a study.
        """
        return _parsed(self._logs.path(study_id), self._logs.content(study_id))

    def change(self, study_id: str, changes: Mapping[str, Mark | None]) -> None:
        """Save, replace and delete marks.

        Args:
            study_id: The study.
            changes: Mark by name; None deletes it.

        Raises:
            AnnotationError: The study would have more than `MAX_MARKS`, or as for `read`.
            DataRootError: As for `read`.
            HeldError: Another process saves and does not end.
            StorageError: The file cannot be written.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        lines = [
            MarkChange(at=now, name=name, mark=mark).model_dump_json()
            for name, mark in changes.items()
        ]
        with self._logs.held(study_id):
            content = self._logs.content(study_id)
            known = _parsed(self._logs.path(study_id), content).marks
            check_count(changed(known, changes))
            self._logs.append(study_id, content, *lines)


def made_mark(**values: Any) -> Mark:  # noqa: ANN401 - any field value
    """Make a mark of values that a browser sent.

    Raises:
        AnnotationError: A value is out of range.
    """
    try:
        return Mark(**values)
    except ValidationError as error:
        said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise AnnotationError(f"This mark cannot be kept: {said}; draw it again.") from error


def changed(marks: Mapping[str, Mark], changes: Mapping[str, Mark | None]) -> dict[str, Mark]:
    """Apply changes to marks by name."""
    merged = {**marks, **changes}
    return {name: mark for name, mark in merged.items() if mark is not None}


def check_count(marks: Mapping[str, Mark]) -> None:
    """Check that a study may have these marks.

    Raises:
        AnnotationError: They are more than `MAX_MARKS`.
    """
    if len(marks) > MAX_MARKS:
        raise AnnotationError(f"A study keeps at most {MAX_MARKS:,} marks; delete some.")


def _parsed(path: Path, content: bytes) -> MarkLog:
    marks: dict[str, Mark] = {}
    problems: list[str] = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            change = MarkChange.model_validate_json(line)
        except ValidationError:
            problems.append(
                f"{path}, line {number}: it is no mark; restore or delete the line (the others "
                "are used)."
            )
            continue
        marks = changed(marks, {change.name: change.mark})
    return MarkLog(marks, tuple(problems))
