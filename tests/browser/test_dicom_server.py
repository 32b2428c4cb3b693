"""A study comes from a DICOM server, and its results go back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.server import serve
from tests.browser.waiting import FIRST_TIME_MS, settle
from tests.core.dicom.dicom_factory import write_ct_series
from tests.dashboard.workplace import N_SLICES, made_neck
from tests.orthanc import NAME, orthanc

__all__ = ["orthanc"]

pytestmark = pytest.mark.browser

STUDY = "1.2.826.0.31"


@pytest.fixture(scope="module")
def url(workplace, orthanc, repo_root, artifacts, tmp_path_factory):
    """A dashboard that knows the server, which has one study."""
    folder = tmp_path_factory.mktemp("made")
    files = write_ct_series(
        folder, made_neck(2), spacing_mm=(3.0, 0.8, 0.8), study_uid=STUDY, intercept=-1024.0
    )
    for file in files:
        orthanc.put(file)
    environment = workplace.environment | orthanc.environment
    with serve(repo_root, environment, artifacts / "dicom_server.log") as url:
        yield url


def test_a_study_is_fetched_seen_and_its_results_are_sent_back(browser, url, orthanc, artifacts):
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(90_000)
    page.goto(f"{url}/diagnosis")
    expect(page.locator(".lab-call")).to_be_visible(timeout=FIRST_TIME_MS)
    page.locator(".st-key-source_popover button").first.click()
    page.get_by_test_id("stButtonGroup").get_by_text("DICOM server", exact=True).click()
    page.get_by_role("textbox", name="Patient ID").fill("MADE-*")
    page.get_by_role("button", name="Search", exact=True).click()
    study = page.get_by_role("combobox", name=f"Study on {NAME}")
    expect(study).to_have_value(f"MADE-UP · UID …{STUDY[-8:]}")
    series = page.get_by_role("combobox", name="CT series")
    expect(series).to_have_value(f"{N_SLICES} images")
    page.screenshot(path=artifacts / "dicom_server_search.png")
    page.get_by_role("button", name="Fetch", exact=True).click()
    expect(page.get_by_test_id("stProgress").or_(page.locator(".lab-call")).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".lab-call")).to_be_visible(timeout=FIRST_TIME_MS)
    expect(page.locator("canvas.axial")).to_have_attribute("data-drawn", re.compile(r"\d+"))
    expect(page).not_to_have_url(re.compile(r"[?&]study="))
    settle(page)

    page.get_by_role("tab", name="Report").click()
    page.get_by_role("button", name="Send to a DICOM server").click()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text(f"DICOM objects are stored on {NAME}")).to_be_visible(
        timeout=FIRST_TIME_MS
    )
    assert page.get_by_test_id("stException").count() == 0
    kinds = [modality for modality, _ in orthanc.objects(STUDY)]
    assert kinds.count("CT") == N_SLICES
    assert {"SR", "DOC"} < set(kinds)
    page.context.close()
