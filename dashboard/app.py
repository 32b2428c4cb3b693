"""The frame of every page: navigation, brand, data set in use and the standing warnings."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.session.page_files import PAGES
from dashboard.shell.startup import in_turn

with in_turn():
    from dashboard.shell.glossary import glossary_button
    from dashboard.shell.login import account, admitted
    from dashboard.tour.bar import follow_tour, tour_bar
    from dashboard.tour.presenter import (
        apply_presenter_style,
        presenter_note,
        presenter_switch,
    )
    from dashboard.tour.state import presents, show_layout_in_url, tour_place
    from dashboard.widgets.frame import apply_style, sidebar_footer, sidebar_status

ASSETS = Path(__file__).resolve().parent / "assets"


def main() -> None:
    """Draw the frame, then the page that the URL names."""
    st.set_page_config(
        page_title="C-Spine Fracture Lab",
        page_icon=ASSETS / "icon.svg",
        layout="wide",
        menu_items={},
    )
    apply_style()
    st.logo(ASSETS / "logo.svg", size="large", icon_image=ASSETS / "icon.svg")
    overview = st.Page(
        PAGES / "overview.py", title="Overview", icon=":material/home:", url_path="overview"
    )
    diagnosis = st.Page(
        PAGES / "diagnosis.py", title="Diagnosis", icon=":material/radiology:", url_path="diagnosis"
    )
    dataset = st.Page(
        PAGES / "dataset.py", title="Dataset", icon=":material/database:", url_path="dataset"
    )
    preprocessing = st.Page(
        PAGES / "preprocessing.py", title="Preprocessing", icon=":material/tune:",
        url_path="preprocessing",
    )  # fmt: skip
    training = st.Page(
        PAGES / "training.py", title="Training", icon=":material/model_training:",
        url_path="training",
    )  # fmt: skip
    spine_3d = st.Page(
        PAGES / "spine_3d.py", title="3D spine", icon=":material/view_in_ar:", url_path="spine_3d"
    )
    evaluation = st.Page(
        PAGES / "evaluation.py", title="Evaluation", icon=":material/monitoring:",
        url_path="evaluation",
    )  # fmt: skip
    # Streamlit serves its default page at "/" only; this one hands on, so that every page,
    # the first included, has its file's name as URL.
    root = st.Page(
        lambda: st.switch_page(overview), title="Start", url_path="start", default=True,
        visibility="hidden",
    )  # fmt: skip
    localization = st.Page(
        PAGES / "localization.py", title="Localization", icon=":material/frame_inspect:",
        url_path="localization",
    )  # fmt: skip
    shown = [overview, dataset, preprocessing, diagnosis, localization, spine_3d, training,
             evaluation]  # fmt: skip
    pages = {page.url_path: page for page in shown}
    inside, presenting = admitted(), presents()
    without_sidebar = "hidden" if not inside or tour_place() else "top"
    page = st.navigation(
        [root, *shown], position="sidebar" if inside and not presenting else without_sidebar
    )
    if not inside:
        return
    follow_tour(page, pages)
    show_layout_in_url()
    if presenting:
        apply_presenter_style()
    else:
        with st.sidebar:
            account()
            sidebar_status()
            sidebar_footer()
            glossary_button()
            presenter_switch("side")
    tour_bar(page, pages)
    if presenting:
        presenter_note()
    with in_turn():
        page.run()


if __name__ == "__main__":
    main()
