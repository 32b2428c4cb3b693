"""Where no box reaches the minimum score, a button lowers it to the best box."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def page():
    import numpy as np

    from dashboard.localization.study import _no_track

    class Fused:
        scores = np.array([0.2, 0.31275])

        def __len__(self):
            return len(self.scores)

    _no_track(Fused())


def test_the_button_lowers_the_minimum_score_to_the_best_box():
    app = AppTest.from_function(page).run()
    assert "the best has 0.312" in app.caption[0].value
    app.button(key="loc_lower").click().run()
    assert app.session_state["loc_score"] == 0.312
