"""The frame of every page: navigation, brand, data set in use and the standing warnings."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.session.urls import PAGES
from dashboard.shell.startup import serialized_imports

with serialized_imports():
    from dashboard.session.link import LinkError
    from dashboard.shell.glossary import glossary_button
    from dashboard.shell.link_notice import link_notice, wrong_link
    from dashboard.shell.login import account, admitted
    from dashboard.shell.reconnect import redrawn_after_reconnect
    from dashboard.tour.bar import follow_tour, tour_bar
    from dashboard.tour.presenter import presenter_note, presenter_switch
    from dashboard.tour.state import presents, show_layout_in_url, shows_pickers, tour_place
    from dashboard.widgets.frame import apply_style, folded_note, sidebar_footer, sidebar_status
    from dashboard.widgets.study_picker import follow_back, other_source

ASSETS = Path(__file__).resolve().parent / "assets"
# File (also the path in the URL), title and icon of each page, in the order of the sidebar.
# Streamlit would show a string on a line by itself, hence no docstring here.
_PAGES = (
    ("overview", "Overview", "home"),
    ("dataset", "Dataset", "database"),
    ("preprocessing", "Preprocessing", "tune"),
    ("diagnosis", "Diagnosis", "radiology"),
    ("localization", "Localization", "frame_inspect"),
    ("spine_3d", "3D spine", "view_in_ar"),
    ("training", "Training", "model_training"),
    ("evaluation", "Evaluation", "monitoring"),
    ("reader_study", "Reader study", "school"),
)


def main() -> None:
    """Draw the frame and the page that the URL names."""
    st.set_page_config(
        page_title="C-Spine Fracture Lab",
        page_icon=ASSETS / "icon.svg",
        layout="wide",
        menu_items={},
    )
    st.logo(ASSETS / "logo.svg", size="large", icon_image=ASSETS / "icon.svg")
    shown = [
        st.Page(PAGES / f"{file}.py", title=title, icon=f":material/{icon}:", url_path=file)
        for file, title, icon in _PAGES
    ]
    pages = {page.url_path: page for page in shown}
    # Streamlit serves its default page at "/" only. This one redirects, so that every page,
    # including the first, has its file name as path.
    root = st.Page(
        lambda: st.switch_page(shown[0]), title="Start", url_path="start", default=True,
        visibility="hidden",
    )  # fmt: skip
    inside, presenting = admitted(), presents()
    without_sidebar = "hidden" if not inside or tour_place() else "top"
    page = st.navigation(
        [root, *shown], position="sidebar" if inside and not presenting else without_sidebar
    )
    if not inside:
        return
    redrawn_after_reconnect()
    follow_back(page.url_path)
    wrong = wrong_link(page.url_path)
    follow_tour(page, pages)
    show_layout_in_url()
    if presenting:
        apply_style("presenter.css")
        if not shows_pickers():
            apply_style("presenter_stage.css")
    else:
        with st.sidebar:
            account()
            sidebar_status(other_source(page.url_path))
            sidebar_footer()
            glossary_button()
            presenter_switch("side")
        folded_note(other_source(page.url_path))
    tour_bar(page, pages)
    if presenting:
        presenter_note(other_source(page.url_path))
    try:
        if wrong is not None:
            raise wrong
        with serialized_imports():
            page.run()
    except LinkError as error:
        link_notice(error)


if __name__ == "__main__":
    main()
