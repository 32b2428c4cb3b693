"""From a finished run on to the pages that evaluate and use its network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.errors import CSpineError
from core.evaluation.detection.files import RAW_FILE
from core.experiments.cohorts import PREDICTIONS_FOLDER
from core.inference.outputs import find_slices
from core.models.bundles import BundleInfo, read_bundle
from core.models.pairs import vertebra_for
from core.training.run_list import RunSummary
from dashboard.background.process_tasks import find_task, read_task, start_score
from dashboard.session import state
from dashboard.session.access import may_change
from dashboard.session.settings import settings
from dashboard.session.urls import PAGES
from dashboard.studies.cohort import bundle_key
from dashboard.studies.localizer import BOXES_KEY
from dashboard.widgets.job_status import poll, task_progress
from dashboard.widgets.notices import show_error, succeeds


def onward(run: RunSummary, members: Sequence[RunSummary]) -> None:
    """Draw "Evaluate" and "Use in Diagnosis" for a finished run; a segmenter's has neither page.

    Args:
        run: The run.
        members: Its folds.
    """
    if run.state != "finished" or run.config is None or run.config.facts.gives == "labels":
        return
    bundle = _bundle(run, members)
    with st.container(key="run_onward", horizontal=True, vertical_alignment="center"):
        # The run of a fold or trial is evaluated with the whole it belongs to.
        if "/" not in run.run_id:
            _evaluate(run)
        if bundle is not None and st.button(
            "Use in Diagnosis", icon=":material/radiology:", key="run_use",
            help="Opens Diagnosis with this network." if not members else
            f"Opens Diagnosis with the network of {bundle.folder.parent.name}, the fold with the "
            "highest held-out AUC.",
        ):  # fmt: skip
            _use(bundle)
    _scoring(run)


def _bundle(run: RunSummary, members: Sequence[RunSummary]) -> BundleInfo | None:
    """Bundle of a run; of a run over folds, that of the best fold."""
    best = max(members or [run], key=lambda one: one.validation_auc or 0.0)
    try:
        return read_bundle(best.folder / "bundle")
    except CSpineError:
        return None


def _evaluate(run: RunSummary) -> None:
    assert run.config is not None
    scored, one_fold = is_scored(run), isinstance(run.config.fold, int)
    if not scored and not (one_fold and may_change()):
        return
    pressed = st.button(
        "Evaluate", icon=":material/monitoring:", key="run_evaluate", type="primary",
        help="Opens the page that measures it on the patients that it held out."
        if scored else "Predicts the patients that it held out, which takes some seconds each; "
        "then the page that measures it can be opened.",
    )  # fmt: skip
    if pressed and scored:
        _open(run)
    elif pressed and succeeds(lambda: start_score(run.folder)):
        st.rerun(scope="app")


def _scoring(run: RunSummary) -> None:
    """Show that the held-out patients are being predicted, or why they could not be."""
    task = find_task("score", run.folder)
    if task is None or is_scored(run):
        return
    if task.is_alive:
        poll(lambda: _progress(task.folder), every=1.0)
    elif task.state == "failed":
        show_error(task.message)


def _progress(folder: Path) -> bool:
    now = read_task(folder)
    if now is not None and now.state == "finished":
        state.leave_message("The held-out patients are predicted; “Evaluate” opens the figures.")
    return task_progress(now, "Predicting the held-out patients")


def is_scored(run: RunSummary) -> bool:
    """Whether the patients that a run held out are predicted."""
    if run.config is not None and run.config.facts.gives == "boxes":
        return (run.folder / "bundle" / PREDICTIONS_FOLDER / RAW_FILE).is_file()
    return find_slices(run.folder / PREDICTIONS_FOLDER) is not None


def _open(run: RunSummary) -> None:
    assert run.config is not None
    if run.config.facts.gives == "boxes":
        state.remember("loc_bundle", f"run.{run.run_id}")
        st.switch_page(PAGES / "localization.py")
    level = "presence" if run.config.task == "vertebra" else "patient"
    st.switch_page(
        PAGES / "evaluation.py", query_params={"models": f"run.{run.run_id}", "level": level}
    )


def _use(bundle: BundleInfo) -> None:
    """Open Diagnosis with this network in its place."""
    key, config = bundle_key(bundle), bundle.config
    state.remember(state.MODE_KEY, state.ONE_STUDY)
    if config.gives_boxes:
        state.remember(BOXES_KEY, key)
    elif config.gives_fractures:
        state.remember("fracture_bundle", key)
        try:
            state.remember(
                "vertebra_bundle", bundle_key(vertebra_for(bundle, settings().checkpoints))
            )
        except CSpineError as error:
            show_error(error)
            return
    else:
        state.remember("vertebra_bundle", key)
    st.switch_page(PAGES / "diagnosis.py")
