"""When a page has come to rest: by what it does, for a busy machine needs longer."""

from __future__ import annotations

import re

from playwright.sync_api import expect

FIRST_TIME_MS = 240_000
"""The first page starts the server's imports, the first scores those of torch."""

# Only looks count: while the browser itself is held up, nothing is looked at.
_SETTLED = """looks => new Promise(resolve => {
    let quiet = 0;
    const look = () => {
        const app = document.querySelector('[data-testid="stApp"]');
        quiet = app?.dataset.testScriptState === 'notRunning' ? quiet + 1 : 0;
        quiet < looks ? setTimeout(look, 50) : resolve();
    };
    look();
})"""


def settle(page, looks: int = 10):
    """Wait until the script is found idle ten times in a row, so the page has drawn as well."""
    page.evaluate(_SETTLED, looks)


def expect_fit(page):
    """Wait until the page's content is no wider than its window, which a resize brings about."""
    settle(page)
    page.wait_for_function(
        """() => {
            const main = document.querySelector('[data-testid="stMain"]');
            return main.scrollWidth <= main.clientWidth;
        }"""
    )


def refusals(page) -> list[str]:
    """What the content policy of the server refuses to a page and its frames, as it happens."""
    found: list[str] = []
    page.on(
        "console",
        lambda said: found.append(said.text) if "Content Security Policy" in said.text else None,
    )
    return found


def expect_study(page, number, *, timeout):
    """The list of studies shows the study with this number, from 1."""
    chosen = page.locator(".st-key-study input")
    expect(chosen).to_have_value(re.compile(rf"^Study {number}\b"), timeout=timeout)
