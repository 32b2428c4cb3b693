"""What each role may do: every function of the dashboard that a user can set off."""

from __future__ import annotations

import ast
import re
from types import SimpleNamespace

import pytest

from core.config import PROJECT_ROOT, Settings
from core.dicomweb.search import FoundSeries, StudyQuery
from core.errors import CSpineError
from core.experiments.sweep_config import SweepConfig
from core.experiments.sweep_results import TrialRow
from dashboard.background import process_tasks
from dashboard.background.processes import ProcessSupervisor
from dashboard.diagnosis import batch
from dashboard.evaluation import added_columns, ensemble_saving, imports, operating_points
from dashboard.reader_study import model_scores, services
from dashboard.session import access, typed_path
from dashboard.session.admission import Admission
from dashboard.session.roles import role_rules
from dashboard.studies import (
    data_sets,
    dicom_servers,
    localizer,
    pictures,
    predictions,
    study_annotations,
    synthetic_studies,
    upload_jobs,
)
from dashboard.training import presets, run_processes, sweep_processes
from dashboard.training.form_state import first_config

ISSUER = "https://id.b.c"
SERIES = FoundSeries("1.2", "1.3", "", 0)
RUN = SimpleNamespace(folder=None)
CONFIG = SimpleNamespace(
    data_root="/nowhere", annotations=None, vertebra_bundle=None, init_from=None
)
SWEEP = SweepConfig(
    base={"task": "fracture", "data_root": "/nowhere"}, space={"balanced": [True, False]}
)
SERVICES = {
    process_tasks.start_index: ("change", lambda f, p: f(p)),
    process_tasks.start_score: ("change", lambda f, p: f(p)),
    process_tasks.start_phantom: (
        "change", lambda f, p: f(p, studies=1, seed=0, matrix=8, rsna_like=False),
    ),
    process_tasks.resume_phantom: ("change", lambda f, p: f(p)),
    process_tasks.cancel_task: ("change", lambda f, p: f(RUN)),
    run_processes.start_run: ("change", lambda f, p: f(CONFIG)),
    run_processes.resume_run: ("change", lambda f, p: f(RUN)),
    run_processes.stop_run: ("change", lambda f, p: f(RUN)),
    run_processes.delete_run: ("change", lambda f, p: f(RUN)),
    run_processes.save_notes: ("change", lambda f, p: f(RUN, None)),
    run_processes.measure_pace: ("change", lambda f, p: f(CONFIG)),
    run_processes.try_batch: ("change", lambda f, p: f(CONFIG)),
    sweep_processes.start_sweep: ("change", lambda f, p: f(SWEEP, 1)),
    sweep_processes.resume_sweep: ("change", lambda f, p: f(RUN, 1, 1)),
    sweep_processes.stop_sweep: ("change", lambda f, p: f(RUN)),
    sweep_processes.delete_sweep: ("change", lambda f, p: f(RUN)),
    sweep_processes.keep_trial: ("change", lambda f, p: f(TrialRow(0, "finished", {}, {}, p), "x")),
    presets.save_preset: ("change", lambda f, p: f("mine", first_config())),
    presets.delete_preset: ("change", lambda f, p: f("mine")),
    run_processes.check_folders: ("browse", lambda f, p: f(CONFIG)),
    data_sets.remove_cohort: ("change", lambda f, p: f(None)),
    operating_points.save_point: ("change", lambda f, p: f(None, "patient", None)),
    operating_points.undo_point: ("change", lambda f, p: f(None, "patient")),
    imports.import_csv: ("change", lambda f, p: f(Settings(), "m", b"", truth_id="")),
    imports.import_folder: ("change", lambda f, p: f(Settings(), "m", p, truth_id="")),
    imports.forget_import: ("change", lambda f, p: f(Settings(), "m")),
    imports.check_import_allowed: ("change", lambda f, p: f()),
    added_columns.add_columns: (
        "change", lambda f, p: f(Settings(), "m", b"", truth_id="", study_ids=()),
    ),
    added_columns.forget_columns: ("change", lambda f, p: f(Settings(), RUN)),
    ensemble_saving.save_shown: ("change", lambda f, p: f(None, None, "m")),
    services.start_study: ("change", lambda f, p: f(None)),
    services.stop_study: ("change", lambda f, p: f("AAAAAA")),
    services.delete_study: ("change", lambda f, p: f("AAAAAA")),
    services.open_studies: ("browse", lambda f, p: f()),
    services.open_progress: ("browse", lambda f, p: f("AAAAAA")),
    services.open_results: ("browse", lambda f, p: f("AAAAAA")),
    services.write_answers: ("browse", lambda f, p: f("AAAAAA")),
    services.add_reader: ("look", lambda f, p: f("AAAAAA")),
    services.open_place: ("look", lambda f, p: f("AAAAAA", "t")),
    services.open_case: ("look", lambda f, p: f("AAAAAA", "t", 0)),
    services.keep_answer: ("look", lambda f, p: f("AAAAAA", "t", 0, None)),
    services.open_own_results: ("look", lambda f, p: f("AAAAAA", "t")),
    model_scores.start_scoring: ("change", lambda f, p: f(None, None)),
    typed_path.typed_path: ("browse", lambda f, p: f(str(p))),
    typed_path.browsable: ("browse", lambda f, p: f(p)),
    study_annotations.save_annotation: ("change", lambda f, p: f("1.2", None)),
    batch.start_batch: ("browse", lambda f, p: f(None)),
    predictions.start_prediction: ("look", lambda f, p: f(None, None)),
    localizer.start_boxes: ("look", lambda f, p: f(None, None)),
    upload_jobs.start_upload: (
        "look", lambda f, p: f("k", (), archive=True, session=None, settings=None),
    ),
    dicom_servers.search_server: ("browse", lambda f, p: f("pacs", StudyQuery(), 0)),
    dicom_servers.search_study: ("browse", lambda f, p: f("pacs", "1.2")),
    dicom_servers.start_fetch: (
        "browse", lambda f, p: f("k", "pacs", SERIES, session=None, settings=Settings()),
    ),
    dicom_servers.start_sending: ("change", lambda f, p: f("k", "pacs", list, owner=None)),
    synthetic_studies.linked_study: ("look", lambda f, p: f(None, ())),
    pictures.picture_name: ("look", lambda f, p: f(pictures.WantedPicture("1.2.3", 0))),
}  # fmt: skip
"""Each function that a user can set off, what it needs, and a call of it."""
INNER = {
    "start_storing",
    "predict_stored", "keep_raw", "start_reader", "unpack_upload", "store_files",
    "discard_uploads", "hold_uploads", "remove_abandoned", "study_record", "open_study",
    "stored_scores", "imports_root", "stop_prediction", "stop_boxes",
    "import_folder_of", "import_session", "save_ensemble_form",
}  # fmt: skip
"""Parts of the above, which run in threads that belong to no user."""
ROOMS = ("background/process_tasks", "diagnosis/batch", "evaluation/imports", "training/run_proc",
         "training/sweep_proc", "training/presets",
         "evaluation/operating_points", "evaluation/added_columns", "evaluation/ensemble_saving",
         "reader_study/services", "reader_study/model_scores", "session/typed_path",
         "studies/")  # fmt: skip
VERBS = re.compile(
    r"(start|try|stop|add|resume|delete|remove|cancel|import|forget|save|undo|measure|discard|store|unpack"
    r"|hold|write|send|fetch|search|predict|keep|open|typed|check|browsable|linked|study_record|studies_below"
    r"|picture)(_|$)"
)
REFUSED = "You are not logged in|Your account has read access only|This dashboard is read-only"


class ReachedError(Exception):
    """A call came as far as the work itself."""


def allowed(permission: str, role: str | None, *, read_only: bool) -> bool:
    """The table of docs/deployment.md."""
    if permission == "look":
        return role is not None
    return role == "operator" and not (permission == "change" and read_only)


@pytest.fixture
def as_role(monkeypatch, tmp_path):
    """Makes the user of the page one of a role."""

    def become(role: str | None, *, read_only: bool = False) -> None:
        rules = role_rules(
            Settings(
                dashboard_operators="groups=operator", dashboard_viewers="groups=viewer",
                dashboard_issuer=ISSUER,
            )
        )  # fmt: skip
        decided = Admission("login", rules)
        monkeypatch.setattr(Admission, "check_holds", lambda self: None)
        monkeypatch.setattr(access, "admission", lambda: decided)
        claims = {"iss": ISSUER, "groups": [role]}
        monkeypatch.setattr(access, "identity", lambda: claims if role else None)
        monkeypatch.setenv("DASHBOARD_READONLY", str(int(read_only)))

    def reached(*_: object, **__: object) -> None:
        raise ReachedError

    monkeypatch.setattr(ProcessSupervisor, "start", reached)
    monkeypatch.setattr(upload_jobs, "_pool", reached)
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    return become


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("role", [None, "viewer", "operator"])
@pytest.mark.parametrize("service", SERVICES, ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_every_function_asks_for_the_role_itself(as_role, tmp_path, service, role, read_only):
    as_role(role, read_only=read_only)
    permission, call = SERVICES[service]
    if not allowed(permission, role, read_only=read_only):
        with pytest.raises(CSpineError, match=REFUSED):
            call(service, tmp_path)
        assert list(tmp_path.iterdir()) == []
        return
    said = ""
    try:
        call(service, tmp_path)
    except Exception as error:  # noqa: BLE001 - anything but a refusal
        said = str(error)
    assert not re.search(REFUSED, said)


def test_no_function_that_a_user_can_set_off_is_missing_above():
    listed = {service.__name__ for service in SERVICES}
    found = set()
    for file in (PROJECT_ROOT / "dashboard").rglob("*.py"):
        name = file.relative_to(PROJECT_ROOT / "dashboard").as_posix()
        if name.startswith(ROOMS):
            tree = ast.parse(file.read_text())
            functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
            found |= {one for one in functions if VERBS.match(one)}
    assert found - INNER == listed


def test_a_refusal_names_what_is_needed(as_role):
    as_role("viewer")
    assert access.refusal("to train") == (
        "Your account has read access only; an operator's account is needed to train."
    )
    as_role("operator", read_only=True)
    assert access.refusal("to train") == (
        "This dashboard is read-only; unset DASHBOARD_READONLY to train."
    )
    assert (access.may_change(), access.may_browse()) == (False, True)
    as_role(None)
    assert access.refusal("to train") == "You are not logged in; log in to train."


@pytest.mark.parametrize(
    ("mode", "role"), [("own machine", "operator"), ("open", "viewer"), ("login", None)]
)
def test_without_claims_the_mode_of_the_server_decides(monkeypatch, mode, role):
    auth = {"cookie_secret": "k" * 32}
    monkeypatch.setattr(Admission, "check_holds", lambda self: None)
    monkeypatch.setattr(access, "admission", lambda: Admission(mode, auth=auth))
    assert access.role() == role
    assert access.role_by_cookies({}) == role
    assert access.role_by_cookies({"_streamlit_user": "forged"}) == role
