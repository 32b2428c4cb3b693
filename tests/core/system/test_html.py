from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from core.system.html import render_page

TEMPLATE = """{% extends "base.html" %}
{% block title %}{{ title }}{% endblock %}
{% block style %}{% include "page.css" %}{% endblock %}
{% block body %}<p id="{{ title }}"></p><script>{{ values | tojson }}</script>{% endblock %}
"""


@pytest.fixture
def template(tmp_path):
    (tmp_path / "page.css").write_text("p > b { color: red; }")
    path = tmp_path / "page.html"
    path.write_text(TEMPLATE)
    return path


def test_values_are_escaped_and_what_is_included_is_not(template):
    page = render_page(template, title="\"'&<b>", values=["</script>"])
    assert page.startswith("<!doctype html>")
    assert page.count("&#34;&#39;&amp;&lt;b&gt;") == 2
    assert page.count("</script>") == 1
    assert "p > b { color: red; }" in page


def test_a_missing_value_is_an_error(template):
    with pytest.raises(UndefinedError, match="title"):
        render_page(template, values=[])


def test_json_holds_no_number_that_browsers_cannot_read(template):
    with pytest.raises(ValueError, match="JSON"):
        render_page(template, title="", values=[float("nan")])
