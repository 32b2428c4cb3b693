"""Bring a part of the page into view."""

from __future__ import annotations

import json
from typing import Literal

import streamlit as st

_SCRIPT = """<script>(() => {
const [wanted, entry, block, rest] = %s;
window.labInView ??= {};
if (window.labInView[wanted] === entry) return;
window.labInView[wanted] = entry;
let over = false, tries = 0, last = NaN, steady = 0;
for (const touch of ['wheel', 'pointerdown', 'keydown', 'touchstart'])
  addEventListener(touch, () => { over = true; }, {once: true, capture: true});
const look = () => {
  if (over || window.labInView[wanted] !== entry || ++tries > 150 || steady > rest) return;
  const part = document.querySelector(wanted);
  if (part) {
    part.style.scrollMargin = '5rem 0 1rem';
    part.scrollIntoView({block});
    const top = part.getBoundingClientRect().top;
    steady = top === last ? steady + 1 : 0; last = top;
  }
  setTimeout(look, 200);
}; look();
})()</script>"""


def keep_in_view(
    selector: str, entry: str, block: Literal["start", "nearest"] = "start", rest: int = 12
) -> None:
    """Keep a part of the page in view while the page still grows, once for each entry.

    The first input of the user ends it.

    Args:
        selector: CSS selector of the part.
        entry: Another one than before scrolls again.
        block: "start" puts the part at the top of the window, "nearest" scrolls no more than
            needed to see all of it.
        rest: How often, at 0.2 s, the part must be found at the same place to end it.
    """
    told = json.dumps([selector, entry, block, rest]).replace("</", "<\\/")
    st.html(_SCRIPT % told, unsafe_allow_javascript=True)
