"""The guided tour as data: seven stops, what to say and to try at each, and where each opens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from core.types import StudyRecord

TOUR_KEY: Final = "tour"
"""Query parameter with the number of the stop, from 1."""

Controls = tuple[tuple[str, str | bool], ...]


@dataclass(frozen=True, slots=True)
class TourStop:
    """One stop of the tour.

    Attributes:
        title: Its name.
        page: The page it is on, by its path in the URL.
        say: What the instructor tells.
        do: What the class tries.
        query: Query parameters that the page opens with, as (name, value).
        controls: Widgets that have no place in the URL and do not open at their default, as
            (key, value).
        on_study: Whether it opens the study that the tour has chosen.
        focus: CSS selector of what the page scrolls to; "" stays at the top.
    """

    title: str
    page: str
    say: str
    do: str
    query: tuple[tuple[str, str], ...] = ()
    controls: Controls = ()
    on_study: bool = False
    focus: str = ""


_JUDGES: Final = ",".join(
    f"bundle.{name}"
    for name in (
        "localization_mobilenet_v3_large", "fracture_type1", "fracture_type2", "fracture_type3",
    )
)  # fmt: skip
STOPS: Final[tuple[TourStop, ...]] = (
    TourStop(
        "Data",
        "dataset",
        "Every model begins with its data. Fractures are rare and uneven: a few vertebrae carry "
        "most of them, and a broken neck mostly has one broken vertebra. The page shows the "
        "fractured studies; the paler bars are the whole set.",
        "Click the bar of one vertebra, then the same bar again. Tick a study in the table: its "
        "slices open below it.",
        query=(("fractured", "yes"),),
    ),
    TourStop(
        "Preprocessing",
        "preprocessing",
        "A scanner tells thousands of Hounsfield units apart, a picture 256 greys. The window "
        "decides which of them the network will see; here three windows become three channels, "
        "so that bone and soft tissue both survive.",
        "Set the size to 128 px: could you still find a hairline fracture? Then turn to "
        "“Augmentation” and guess which draws are still a credible neck.",
        controls=(("pre_channels", "windows"),),
        on_study=True,
    ),
    TourStop(
        "Training",
        "training",
        "A training run is a list of choices, and each of them stands here with its reason. One "
        "choice protects all others: folds are cut by patient, so that no neck is learnt from "
        "and judged on at once.",
        "Change the backbone or the batch size and watch the plan on the right. A run started now "
        "goes on when the page is closed; “Runs” shows it learning.",
    ),
    TourStop(
        "Comparison",
        "evaluation",
        "Three kinds of fracture network, and a localiser whose boxes are taken as evidence, on "
        "the same studies, which none of them learnt from. The brackets are 95 % intervals over "
        "patients: where two of them overlap, the order may be luck.",
        "Ask the class for a winner. Then set the level to “Patient”: the ranking and the widths "
        "change, because there are far fewer patients than slices. Why does the one that was shown "
        "where the lines are do best?",
        query=(
            ("data", "held_out"),
            ("models", _JUDGES),
            ("level", "slice"),
        ),
    ),
    TourStop(
        "Threshold",
        "evaluation",
        "A probability is not a decision yet. The rule here wants 95 of 100 broken necks found, "
        "and the false alarms beside it are the price: a weak network must call nearly everybody. "
        "A test that calls everyone misses no one.",
        "Drag the slider and watch every curve follow. Which mistake would you rather make in an "
        "emergency room? Then choose the rule “Cost FN : FP” and put a number on it.",
        query=(
            ("data", "held_out"),
            ("models", _JUDGES),
            ("rule", "sensitivity"),
        ),
        focus=".st-key-ev_rules",
    ),
    TourStop(
        "One patient",
        "diagnosis",
        "Now one neck instead of a cohort. The networks read every slice; the curve shows how "
        "suspect each one is along the neck. Let the class look before you read the verdict "
        "aloud.",
        "Scroll through the slices and vote: broken or not, and where? Then switch “Show the "
        "truth” on. Were the networks right, for the right reason?",
        on_study=True,
    ),
    TourStop(
        "3D",
        "spine_3d",
        "The same probabilities, on the bones themselves. A radiologist does not want a number "
        "but a place: which vertebra, and how does it lie to its neighbours?",
        "Turn the neck with the mouse, click a vertebra, move the cut plane through it, and lower "
        "the threshold until a second vertebra lights up.",
        on_study=True,
    ),
)


def stop_number(text: str | None) -> int | None:
    """The number of the stop that a query parameter names; None where it names none.

    Args:
        text: What stands in the URL after `tour=`.
    """
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 2:
        return None
    return int(text) if 1 <= int(text) <= len(STOPS) else None


def stop_at(number: int) -> TourStop:
    """The stop of a number from 1 to the length of the tour."""
    return STOPS[number - 1]


def stop_query(number: int, study: str | None) -> dict[str, str]:
    """Query parameters of the link to a stop.

    Args:
        number: Of the stop, from 1.
        study: Id of the study that the tour shows; None where there is no data set.
    """
    stop = stop_at(number)
    query = {TOUR_KEY: str(number), **dict(stop.query)}
    if stop.on_study and study is not None:
        query["study"] = study
    return query


def telling_study(studies: Iterable[StudyRecord]) -> str | None:
    """The study with most to see: a fractured one with most boxes, else the first.

    Args:
        studies: Of the data set in use; equally telling ones go by their order.

    Returns:
        Its id; None where there are no studies.
    """
    ranked = max(
        enumerate(studies),
        key=lambda item: (item[1].patient_fractured is True, len(item[1].boxes), -item[0]),
        default=None,
    )
    return None if ranked is None else ranked[1].study_id
