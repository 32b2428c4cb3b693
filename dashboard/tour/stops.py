"""The eight stops of the guided tour: what to say and try at each, and where it opens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from core.types import StudyRecord

TOUR_KEY: Final = "tour"
"""Query parameter with the number of the stop, from 1."""

Controls = tuple[tuple[str, str | bool | int], ...]


@dataclass(frozen=True, slots=True)
class TourStop:
    """One stop of the tour.

    Attributes:
        title: Name of the stop.
        page: Path of its page in the URL.
        say: What the instructor explains.
        do: What the class tries.
        query: Query parameters that the page opens with, as (name, value).
        controls: Widgets outside the URL that open at another value than their default, as
            (key, value).
        on_study: Whether the page opens the example study.
        focus: CSS selector of the part to scroll to; "" stays at the top.
    """

    title: str
    page: str
    say: str
    do: str
    query: tuple[tuple[str, str], ...] = ()
    controls: Controls = ()
    on_study: bool = False
    focus: str = ""


_FRACTURE_MODELS: Final = ",".join(
    f"bundle.{name}"
    for name in (
        "localization_mobilenet_v3_large", "fracture_type1", "fracture_type2", "fracture_type3",
    )
)  # fmt: skip
STOPS: Final[tuple[TourStop, ...]] = (
    TourStop(
        "Data",
        "dataset",
        "Every model begins with its data. Fractures are rare and unevenly distributed: a few "
        "vertebrae have most of them, and most patients with a fracture have only one fractured "
        "vertebra. The page shows the fractured studies; the paler bars are the whole data set.",
        "Click the bar of one vertebra, then the same bar again. Select a study in the table: its "
        "slices open below the table.",
        query=(("fractured", "yes"),),
    ),
    TourStop(
        "Preprocessing",
        "preprocessing",
        "A scanner distinguishes thousands of Hounsfield units, a picture 256 grey levels. The "
        "window decides which of them the network sees; here three windows become three channels, "
        "so that both bone and soft tissue remain visible.",
        "Set the size to 128 px: could you still find a hairline fracture? Then open "
        "“Augmentation” and decide which of the examples are still anatomically plausible.",
        controls=(("pre_channels", "windows"), ("pre_size", 512), ("pre_follow", False)),
        on_study=True,
    ),
    TourStop(
        "Training",
        "training",
        "A training run is a list of choices, and each of them is shown here with its reason. One "
        "choice protects all others: folds are split by patient, so that no patient is used for "
        "training and testing at the same time.",
        "Change the backbone or, under “Optimisation”, the batch size, and watch the plan. A "
        "run started now continues after the page is closed; “Runs” shows its progress.",
    ),
    TourStop(
        "Comparison",
        "evaluation",
        "Three types of fracture network, and a localiser whose boxes serve as evidence, on the "
        "same studies, which none of them was trained on. Below each figure is its 95 % interval "
        "over patients: if two of them overlap, the order may be chance.",
        "Ask the class for a winner. Then set the level to “Patient”: the ranking and the widths "
        "change, because there are far fewer patients than slices. Why does the model do best that "
        "was trained with the location of the fracture lines?",
        query=(
            ("data", "held_out"),
            ("models", _FRACTURE_MODELS),
            ("level", "slice"),
        ),
        focus=".st-key-ev_headline",
    ),
    TourStop(
        "Threshold",
        "evaluation",
        "A probability is not a decision yet. The rule here requires that 95 of 100 patients with "
        "a fracture are found, at the price of false alarms: a weak network has to call nearly "
        "everybody. A test that calls everyone misses no one.",
        "Drag the slider: the mark of the active model moves along its curve, and its errors are "
        "counted again. Which error is worse in an emergency room? Then choose the rule “Cost "
        "FN : FP” and express your answer as a number.",
        query=(
            ("data", "held_out"),
            ("models", _FRACTURE_MODELS),
            ("rule", "sensitivity"),
        ),
        focus=".st-key-ev_stage",
    ),
    TourStop(
        "One patient",
        "diagnosis",
        "Now one patient instead of a cohort. The networks score every slice, but nothing of that "
        "is shown yet: let the class look at the slices first. What is revealed is the verdict, "
        "the fracture probability along the cervical spine, and the truth.",
        "Scroll through the slices and vote: fractured or not, and where? Then press “Reveal "
        "verdict, boxes and truth”. Were the networks right, and for the right reason?",
        on_study=True,
    ),
    TourStop(
        "3D",
        "spine_3d",
        "The same probabilities, on the bones themselves. A radiologist does not need a number but "
        "a location: which vertebra, and how is it aligned with its neighbours?",
        "Rotate the spine with the mouse and vote: which vertebra? Then press “Reveal verdict, "
        "boxes and truth”, click a vertebra, and move a cut plane through it. Lower the threshold: "
        "which vertebra changes colour next?",
        on_study=True,
    ),
    TourStop(
        "You against the model",
        "reader_study",
        "A curve convinces nobody who has not tried it. In a reader study everybody calls the same "
        "cases without their names, and stands as a point beside the model’s curve. In a crossover "
        "half of the class sees the model’s scores, then the other half.",
        "Make a study of eight cases as a crossover and let the class join by its code. After “End "
        "and show the results”: did help change the calls, or only the confidence? Which case "
        "fooled most of you?",
    ),
)


def stop_number(text: str | None) -> int | None:
    """Number of the stop that a query parameter names; None if it names none.

    Args:
        text: Value of the parameter `tour` in the URL.
    """
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 2:
        return None
    return int(text) if 1 <= int(text) <= len(STOPS) else None


def stop_at(number: int) -> TourStop:
    """The stop with a number from 1 to the length of the tour."""
    return STOPS[number - 1]


def stop_query(number: int, study: str | None) -> dict[str, str]:
    """Query parameters of the link to a stop.

    Args:
        number: Number of the stop, from 1.
        study: Id of the example study; None without a data set.
    """
    stop = stop_at(number)
    query = {TOUR_KEY: str(number), **dict(stop.query)}
    if stop.on_study and study is not None:
        query["study"] = study
    return query


def example_study(studies: Iterable[StudyRecord]) -> str | None:
    """Id of the fractured study with the most boxes, else of the first study.

    Args:
        studies: Studies of the data set on show; the first of equal ones is taken.

    Returns:
        Study id; None if there are no studies.
    """
    ranked = max(
        enumerate(studies),
        key=lambda item: (item[1].patient_fractured is True, len(item[1].boxes), -item[0]),
        default=None,
    )
    return None if ranked is None else ranked[1].study_id
