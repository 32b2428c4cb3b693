from __future__ import annotations

from tests.pages.driver import html, open_page


def test_the_glossary_opens_over_any_page(at_work):
    app = open_page("training")
    assert "**Sensitivity (recall)**" not in html(app)
    next(button for button in app.button if button.key == "glossary_open").click().run()
    assert not app.exception
    assert "**Sensitivity (recall)**" in html(app)
    assert "##### Evaluation" in html(app)
