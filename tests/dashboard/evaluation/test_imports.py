"""Number and size of imported models, of one session and of all server processes."""

from __future__ import annotations

import pytest

from core.config import Settings
from core.errors import PredictionsError, StorageError
from dashboard.evaluation import imports
from dashboard.evaluation.imports import forget_import, import_csv, import_folder, list_imports
from tests.dashboard.background.two_at_once import run_together
from tests.dashboard.made_predictions import write_predictions_place

WIDE = b"uid,Overall,C1,C2,C3,C4,C5,C6,C7\n1.2.3,0.5,0,0,0,0,0,0,0.5\n"
LARGE = WIDE + b"".join(b"1.2.%d,0.5,0,0,0,0,0,0,0.5\n" % n for n in range(9, 30_000))

ADD = """
from core.errors import PredictionsError
from dashboard.evaluation.imports import import_csv
from dashboard.session.settings import settings
from tests.dashboard.evaluation.test_imports import WIDE
together(pathlib.Path(sys.argv[2]))
for number in range(4):
    try:
        import_csv(settings(), f"m{sys.argv[1]}-{number}", WIDE, truth_id="held_out")
        print("added")
    except PredictionsError as error:
        print(error)
"""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name, folder in (
        ("CSPINE_VAR", "var"), ("RSNA_CACHE", "cache"), ("CHECKPOINTS", "checkpoints"),
    ):  # fmt: skip
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("BROWSE_ROOTS", str(tmp_path))
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    return Settings()


def add(name, content=WIDE):
    return import_csv(Settings(), name, content, truth_id="held_out")


def test_the_number_of_imports_has_a_limit_that_a_removal_makes_room_in(settings, monkeypatch):
    monkeypatch.setenv("MAX_IMPORTS", "2")
    first = add("a")
    add("b")
    with pytest.raises(PredictionsError, match=r"^There are 2 imported models already"):
        add("c")
    assert len(list_imports(settings)) == 2
    add("b")  # The same again replaces itself.
    forget_import(settings, first.import_id)
    add("c")


def test_their_size_has_a_limit(settings, monkeypatch):
    monkeypatch.setenv("IMPORTS_QUOTA_GIB", str(len(LARGE) * 1.5 / (1 << 30)))
    add("a", LARGE)
    with pytest.raises(StorageError, match="IMPORTS_QUOTA_GIB"):
        add("b", LARGE)
    assert [one.name for one in list_imports(settings)] == ["a"]
    assert not any(one.name.startswith("b") for one in imports.imports_root(settings).iterdir())
    add("small")


def test_one_session_may_add_fewer_than_all(settings, monkeypatch):
    monkeypatch.setattr(imports, "IMPORTS_PER_SESSION", 2)
    monkeypatch.setattr(imports, "IMPORT_BYTES_PER_SESSION", len(LARGE) * 3 // 2)
    session = ["one"]
    monkeypatch.setattr(imports, "asking_session", lambda: session[0])
    add("a", LARGE)
    with pytest.raises(StorageError, match="this session has added"):
        add("b", LARGE)
    add("c")
    with pytest.raises(PredictionsError, match=r"^This session has added 2 models"):
        add("d")
    session[0] = "another"
    add("d", LARGE)
    # Which session it was cannot be read from the file.
    assert not any(b"one" in file.read_bytes() for file in settings.cspine_var.rglob("*.json"))


@pytest.mark.slow
def test_two_processes_keep_one_limit(settings, repo_root, tmp_path, monkeypatch):
    monkeypatch.setenv("MAX_IMPORTS", "3")
    first, second = run_together(ADD, tmp_path / "meet", repo_root)
    assert (first + second).count("added") == 3
    assert len(list_imports(settings)) == 3


def test_what_a_user_names_is_read_elsewhere_and_the_installations_own_here(settings, monkeypatch):
    from dashboard.evaluation import named_tables

    (folder,) = write_predictions_place(settings.checkpoints, studies=3, slices=300, models=1)
    shipped = folder / "predictions" / "held_out.parquet"
    outside = settings.cspine_var / "theirs.parquet"
    outside.parent.mkdir(parents=True)
    outside.write_bytes(shipped.read_bytes())

    def never(*_args):
        raise AssertionError("read in the server's process")

    assert import_folder(settings, "shipped", shipped, truth_id="held_out")
    monkeypatch.setattr(named_tables, "read_score_table", never)
    assert import_folder(settings, "theirs", outside, truth_id="held_out")
    monkeypatch.setattr(named_tables, "_workers", never)
    with pytest.raises(AssertionError):
        import_folder(settings, "again", outside, truth_id="held_out")
