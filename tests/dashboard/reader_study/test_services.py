"""What a reader may see, and when."""

from __future__ import annotations

import pytest

from core.errors import ReaderStudyError
from core.reader_study.records import drafted_answer
from dashboard.reader_study import services
from dashboard.session import access
from tests.core.reader_study.made_study import plan


@pytest.fixture
def study(monkeypatch, tmp_path):
    """A study on an empty place, seen by a viewer."""
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path))
    monkeypatch.setattr(access, "role", lambda: "viewer")
    return services.reader_studies().make(plan())


def test_results_are_hidden_until_the_end_and_follow_the_files(study):
    token = services.add_reader(study.code)
    services.open_case(study.code, token, 0)
    services.keep_answer(study.code, token, 0, drafted_answer(rating=6))
    with pytest.raises(ReaderStudyError, match="once your lecturer has ended"):
        services.open_own_results(study.code, token)
    assert not services.has_ended(study.code, token)
    services.reader_studies().end(study.code)
    assert services.has_ended(study.code, token)
    assert services.open_own_results(study.code, token).n_answers == 1
    with pytest.raises(ReaderStudyError, match="does not know you"):
        services.open_own_results(study.code, token[::-1])


def test_a_study_that_is_gone_has_ended(study):
    token = services.add_reader(study.code)
    services.reader_studies().delete(study.code)
    assert services.has_ended(study.code, token)
