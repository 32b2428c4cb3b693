from __future__ import annotations

import pytest

from dashboard.session import urls
from dashboard.session.urls import page_url, path_of, slice_number


@pytest.mark.parametrize(
    ("base", "path"),
    [("", ""), (None, ""), ("lab", "/lab"), ("/lab/", "/lab"), ("a/b", "/a/b")],
)
def test_every_path_is_below_the_base_path(monkeypatch, base, path):
    monkeypatch.setattr(urls.st, "get_option", lambda name: base)
    assert path_of("pixels") == f"{path}/pixels"
    assert page_url("diagnosis") == f"{path}/diagnosis"
    link = page_url("diagnosis", study="1.2&x=/é", slice=3)
    assert link == f"{path}/diagnosis?study=1.2%26x%3D%2F%C3%A9&slice=3"


@pytest.mark.parametrize(
    ("text", "index"),
    [("0", 0), ("11", 11), ("011", 11), ("12", None), ("-1", None), ("", None), ("1e1", None),
     ("9" * 5000, None), ("0" * 5000, None), ("²", None), ("١", None), ("1.0", None)],
)  # fmt: skip
def test_a_slice_in_a_url_is_a_slice_of_the_study_or_nothing(text, index):
    assert slice_number(text, 12) == index
