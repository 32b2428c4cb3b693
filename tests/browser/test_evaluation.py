"""The Evaluation page in a real browser: a threshold moves all, a link restores the view."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import FIRST_TIME_MS, expect_fit, settle

pytestmark = pytest.mark.browser

MODEL = "bundle.fracture_type1_made"


def settle_marks(page):
    # The marks lie over the plot, which the browser may draw after them.
    expect(page.locator(".st-key-ev_roc_stack .js-plotly-plot .main-svg").first).to_be_attached()
    settle(page)


def places(page):
    """Centres of marks, as shares of the plot they lie over."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.st-key-ev_roc_stack .lab-mark')].map(m => {
          const plot = document.querySelector('.st-key-ev_roc_stack .js-plotly-plot');
          const area = plot._fullLayout._size, box = plot.getBoundingClientRect();
          const own = m.getBoundingClientRect();
          return [(own.x + own.width / 2 - box.x - area.l) / area.w,
                  1 - (own.y + own.height / 2 - box.y - area.t) / area.h]; })"""
    )


def ratios(page):
    """False positive rate and recall of each model, from its confusion matrix."""
    texts = page.locator(".lab-confusion tbody").all_inner_texts()
    found = []
    for text in texts:
        tp, fn, fp, tn = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+)\s+[\d.]+%", text))
        found.append([fp / (fp + tn), tp / (tp + fn)])
    return found


def test_a_threshold_moves_everything_and_its_link_restores_it(browser, evaluation_url, artifacts):
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.goto(f"{evaluation_url}/evaluation")
    expect(page.locator(".lab-what-if")).to_be_visible(timeout=FIRST_TIME_MS)
    expect(page.locator(".st-key-ev_csv_out")).to_be_visible(timeout=FIRST_TIME_MS)
    settle_marks(page)
    for mark, expected in zip(places(page), ratios(page), strict=True):
        assert mark == pytest.approx(expected, abs=0.01)
    before = places(page)
    slider = page.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("PageUp")
    expect(page.locator(".st-key-ev_back button")).to_be_enabled()
    settle_marks(page)
    assert "moved=" in page.url
    # Only the active model moves.
    assert sum(now != then for now, then in zip(places(page), before, strict=True)) == 1
    for mark, expected in zip(places(page), ratios(page), strict=True):
        assert mark == pytest.approx(expected, abs=0.01)
    # The list of errors follows by itself.
    threshold = float(slider.input_value())
    errors = page.locator(".lab-panel-title").filter(has_text="most confident error first")
    expect(errors).to_contain_text(f"threshold {threshold:.3f}")
    line = page.locator(".lab-focus").inner_text()
    other = browser.new_context().new_page()
    other.goto(page.url)
    expect(other.locator(".lab-focus")).to_have_text(line, timeout=FIRST_TIME_MS)
    other.context.close()
    # Fourteen charts are laid out again, which is slow on a busy machine.
    page.set_default_timeout(120_000)
    for width, scheme in ((1440, "dark"), (900, "light")):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 1000})
        expect_fit(page)
        page.screenshot(path=artifacts / f"evaluation_{width}_{scheme}.png")
    assert page.get_by_test_id("stException").count() == 0
    page.context.close()


def test_the_board_is_in_view_when_the_page_opens(browser, evaluation_url):
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(f"{evaluation_url}/evaluation")
    expect(page.locator(".st-key-ev_csv_out")).to_be_visible(timeout=FIRST_TIME_MS)
    settle_marks(page)
    for part in ("ev_rule", "ev_bar", "ev_roc_stack", "ev_pr_stack"):
        box = page.locator(f".st-key-{part}").bounding_box()
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= 900, part
    card, text = (page.locator(at).bounding_box() for at in (".st-key-ev_bar", ".lab-what-if"))
    assert text["y"] + text["height"] < card["y"] + card["height"]
    # Levels, models, studies: what they start with; the other tables follow below.
    assert page.locator(".st-key-ev_headline").bounding_box()["y"] > 900
    page.context.close()


@pytest.mark.parametrize("pause_ms", [50, 200])
def test_key_presses_at_any_pace_leave_slider_and_box_at_one_threshold(
    browser, evaluation_url, pause_ms
):
    page, model = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page(), MODEL
    page.goto(f"{evaluation_url}/evaluation?focus={model}&moved={model}*0.394")
    expect(page.locator(".lab-what-if")).to_be_visible(timeout=FIRST_TIME_MS)
    expect(page.locator(".st-key-ev_csv_out")).to_be_visible(timeout=FIRST_TIME_MS)
    settle(page)
    slider, box = page.get_by_role("slider").first, page.get_by_label("typed")
    slider.focus()
    for key, threshold in (("ArrowLeft", 0.384), ("ArrowRight", 0.394), ("ArrowLeft", 0.384)):
        for _ in range(10):
            page.keyboard.press(key)
            page.wait_for_timeout(pause_ms)
        expect(slider).to_have_value(f"{threshold:g}")
        expect(box).to_have_value(f"{threshold:.3f}")
        expect(page).to_have_url(re.compile(rf"moved=.*(\*|%2A){threshold:g}(&|$)"))
        settle(page)
        expect(slider).to_have_value(f"{threshold:g}")
        expect(box).to_have_value(f"{threshold:.3f}")
    page.context.close()


def test_a_click_on_a_group_filters_the_errors_and_the_button_shows_all(browser, evaluation_url):
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.goto(f"{evaluation_url}/evaluation?subgroups=vertebra&level=vertebra")
    marks = page.locator("[class*=st-key-ev_forest] .scatterlayer .point")
    expect(marks.first).to_be_visible(timeout=FIRST_TIME_MS)
    expect(page.locator(".st-key-ev_csv_out")).to_be_visible(timeout=FIRST_TIME_MS)
    expect(page.locator(".st-key-ev_group_clear")).to_have_count(0)
    settle(page)
    marks.first.click(force=True)
    only = page.locator(".st-key-ev_group_clear button").first
    expect(only).to_contain_text("Only Vertebra: C")
    assert "group=vertebra" in page.url
    only.click()
    expect(page.locator(".st-key-ev_group_clear")).to_have_count(0)
    assert "group=" not in page.url
