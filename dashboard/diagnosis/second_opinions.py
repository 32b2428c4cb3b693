"""Second opinions: the calls of all fracture networks for one study."""

from __future__ import annotations

from functools import partial
from html import escape

import streamlit as st

from core.constants import VERTEBRAE
from core.errors import CSpineError
from core.inference.agreement import Agreement, Opinion, agreement, opinion
from core.models.pairs import BundlePair, default_pair
from dashboard.background.job import Job
from dashboard.session.settings import settings
from dashboard.session.wording import literal
from dashboard.studies.cohort import all_bundles, bundle_title, saved_ensembles
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.predictions import (
    find_job,
    find_scores,
    start_prediction,
    stop_prediction,
)
from dashboard.widgets.html_table import html_table
from dashboard.widgets.job_status import job_progress, poll
from dashboard.widgets.notices import show_error
from dashboard.widgets.vertebra_table import MUTED, call_pill


def opinions_panel(study: OpenStudy) -> None:
    """Compare the calls of all fracture networks, each at its own operating points."""
    done, missing = _opinions(study, _pairs())
    if running := _running_jobs(study, missing):
        poll(lambda: _progress(study, running), every=1.0)
    elif missing:
        _offer(study, missing)
    if done:
        st.html(_table(agreement(done)))
        st.caption(
            "Each network calls at the operating points of its own bundle. If networks disagree, "
            "look at the slices: a majority is no proof."
        )
        # Below the table, whose first column is narrow.
        st.caption("\n".join(f"- {literal(_origins(one))}" for one in done))


def _pairs() -> list[BundlePair]:
    """Every bundle that predicts fractures, with its vertebra bundle."""
    found: list[BundlePair] = []
    known = [*all_bundles(), *saved_ensembles()]
    for bundle in (b for b in known if b.config.gives_fractures):
        try:
            found.append(default_pair(bundle, settings().checkpoints))
        except CSpineError:
            continue
    return found


def _opinions(study: OpenStudy, pairs: list[BundlePair]) -> tuple[list[Opinion], list[BundlePair]]:
    """Available opinions, and pairs without one."""
    done: list[Opinion] = []
    missing: list[BundlePair] = []
    for pair in pairs:
        try:
            scores = find_scores(study, pair)
        except CSpineError:
            scores = None
        if scores is None:
            missing.append(pair)
        else:
            done.append(opinion(scores, pair))
    return done, missing


def _running_jobs(
    study: OpenStudy, missing: list[BundlePair]
) -> list[tuple[BundlePair, Job[None]]]:
    """Unfinished jobs of pairs; errors of finished ones are shown."""
    found: list[tuple[BundlePair, Job[None]]] = []
    for pair in missing:
        job, name = find_job(study, pair), bundle_title(pair.fracture)
        if job is not None and job.error is not None:
            show_error(f"{name}: {job.error}", icon=":material/neurology:")
        elif job is not None and not job.finished:
            found.append((pair, job))
    return found


def _progress(study: OpenStudy, jobs: list[tuple[BundlePair, Job[None]]]) -> bool:
    """Show the progress of the networks; True while all of them run."""
    going = True
    for pair, job in jobs:
        name = bundle_title(pair.fracture)
        going &= job_progress(
            job, f"{name}: {{done}} of {{total}}", starting=f"{name}: starting …",
            cancel=partial(stop_prediction, study, pair), key=f"cancel_{pair.digest}",
        )  # fmt: skip
    return going


def _offer(study: OpenStudy, missing: list[BundlePair]) -> None:
    label = "Run the other network" if len(missing) == 1 else "Run the other networks"
    if st.button(f"{label} ({len(missing)})", key="ask_others", icon=":material/groups:"):
        for pair in missing:
            start_prediction(study, pair, beside=True)
        st.rerun()


def _table(found: Agreement) -> str:
    n = len(found.opinions)
    votes_by_column = (found.patient_votes, *found.vertebra_votes)
    calls = found.patient_votes[1]
    verdict = "all agree" if found.unanimous else "not unanimous"
    if calls < n:
        verdict = f"{verdict} · {n - calls} of {n} make no call" if calls else "no call is made"
    dispute = f" · disputed: {', '.join(found.disputed)}" if found.disputed else ""
    votes = [
        f"<b>Fracture votes</b> · {verdict}{dispute}",
        *(f"{count} of {called}" for count, called in votes_by_column),
    ]
    rows = [*(_row(one) for one in found.opinions), votes]
    return html_table(("Fracture network", "Patient", *VERTEBRAE), rows, looks="")


def _row(one: Opinion) -> list[str]:
    verdict, calls = one.verdict, one.verdict.calls
    made = calls.patient is not None
    columns = [
        (True, calls.patient, verdict.prob),
        *zip(one.seen, calls.vertebrae, one.probs, strict=True),
    ]
    cells = [
        f"{call_pill(called, seen=seen)}<br><small{'' if made else MUTED}>{prob:.3f}</small>"
        for seen, called, prob in columns
    ]
    cells[0] += f"<br><small>{verdict.call}</small>" if verdict.uncertainty else ""
    title = f"{escape(one.name)}<br><small>{escape(one.title)}</small>"
    note = verdict.uncertainty if made else f"{verdict.headline} {verdict.reason}"
    return [title + (f"<br><small>{escape(note)}</small>" if note else ""), *cells]


def _origins(one: Opinion) -> str:
    """Where the thresholds of an opinion come from."""
    return (
        f"{one.name} – patient: {one.patient_point.described}; "
        f"vertebrae: {one.vertebra_point.described}"
    )
