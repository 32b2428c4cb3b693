"""Saving the ensemble of the page as a bundle of this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from core.errors import BundleError
from core.evaluation.tables.score_table import ScoreTable
from core.experiments.cohorts import SHIPPED, ShippedCohort
from core.experiments.ensemble_bundles import NewEnsemble, save_ensemble
from core.models.bundles import BundleInfo, EnsembleConfig
from core.models.ensembles import ensembles_root
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.ensemble import ShownEnsemble
from dashboard.session import state
from dashboard.session.access import check_allowed, may_change
from dashboard.session.settings import settings
from dashboard.session.wording import literal
from dashboard.widgets.notices import succeeds

_NAME: Final = "ev_ensemble_name"


def save_ensemble_form(comparison: ComparisonTable, ensemble: ShownEnsemble) -> None:
    """Let the user save the ensemble; nothing if read-only."""
    if not may_change():
        return
    lacking = [
        one.label for one in ensemble.members
        if one.bundle is None or isinstance(one.bundle.config, EnsembleConfig)
        or not one.bundle.config.gives_fractures
    ]  # fmt: skip
    if lacking:
        st.caption(
            literal(
                f"It can be saved once every model is a bundle that predicts fractures; "
                f"{', '.join(lacking)} is not."
            )
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            "Save as", key=_NAME, placeholder="my-ensemble", max_chars=60, width=260
        )
        if st.button(
            "Save as a bundle", key="ev_save_ensemble", icon=":material/save:",
            disabled=not name.strip(),
            help="Diagnosis, second opinions and `predict --bundle` can then use it. Its "
            "thresholds are those of the highest F1.",
        ) and succeeds(lambda: save_shown(comparison, ensemble, name.strip())):  # fmt: skip
            state.leave_message(
                f"Saved as {_folder(name.strip())}; choose it on Diagnosis as the fracture network."
            )
            st.rerun()


def save_shown(comparison: ComparisonTable, ensemble: ShownEnsemble, name: str) -> BundleInfo:
    """Save the ensemble of the page below the folder of ensembles.

    Raises:
        BundleError: The dashboard is read-only, or as `save_ensemble` describes.
        StorageError: The folder cannot be written.
    """
    check_allowed("change", BundleError, "to save ensembles")
    label = comparison.truth.label
    other = label if ensemble.other is None else ensemble.other[0]
    members = tuple(one.bundle for one in ensemble.members if one.bundle is not None)
    new = NewEnsemble(
        ensemble.built, members, settings().checkpoints, (other, label),
        synthetic=comparison.truth.synthetic, tables=_tables(comparison, ensemble),
    )  # fmt: skip
    return save_ensemble(_folder(name), new)


def _folder(name: str) -> Path:
    return ensembles_root(settings().cspine_var) / name


def _tables(
    comparison: ComparisonTable, ensemble: ShownEnsemble
) -> dict[ShippedCohort, ScoreTable]:
    """Scores of whole shipped cohorts, so that the page lists the saved ensemble."""
    if comparison.evaluated.data.truth.n_studies < comparison.evaluated.whole:
        return {}
    built = ensemble.built
    found: dict[ShippedCohort, ScoreTable] = {}
    for cohort in SHIPPED:
        if cohort.truth_id == comparison.truth.truth_id:
            found[cohort] = built.judged.model(built.name)
        elif ensemble.other is not None and cohort.title == ensemble.other[0]:
            found[cohort] = built.chosen_on.model(built.name)
    return {cohort: table for cohort, table in found.items() if table.presence is not None}
