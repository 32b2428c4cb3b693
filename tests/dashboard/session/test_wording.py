from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from dashboard.session.wording import ago, chart_text, duration, file_size, literal, number


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"), (0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (61, "1 min 1 s"),
        (599, "9 min 59 s"), (3599, "59 min"), (3600, "1 h 0 min"), (7500, "2 h 5 min"),
        (200_000, "2 days 7 h"),
    ],
)  # fmt: skip
def test_a_time_span_is_given_in_its_two_largest_units(seconds, words):
    assert duration(seconds) == words


def test_the_past_is_worded_as_past():
    assert (ago(1), ago(65)) == ("just now", "1 min 5 s ago")


def rendered(markdown):
    """What a reader sees, block by block, and the marks that were made of it."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("strikethrough").parse(markdown)
    inline = [child for token in tokens for child in token.children or []]
    return "".join(child.content for child in inline), {token.type for token in [*tokens, *inline]}


@pytest.mark.parametrize(
    "text",
    [
        "/data/_old_/a*b*c/__x__ cannot be read.",
        "$HOME/$x is missing; check the path.",
        "~~/x~~ is no folder.",
        "[a](b) and <b>c</b> and &lt; and \\*.",
        "# first",
        "1. of a name",
        "- a name",
        "> a name",
        "a single ` mark",
    ],
)
def test_paths_and_names_are_shown_as_they_are(text):
    seen, marks = rendered(literal(text))
    assert seen == text
    assert marks <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}
    assert "$" not in literal(text).replace("\\$", "")


def test_commands_keep_their_look_and_colours_get_none():
    assert literal("/a_b_/c: set `batch_size` lower") == "/a_b\\_/c: set `batch_size` lower"
    assert literal(":red[x] :material/check:") == "\\:red\\[x\\] \\:material/check:"
    assert literal("two\nlines") == "two lines"
    assert literal("train_bounding_boxes.csv, line 3") == "train_bounding_boxes.csv, line 3"


def test_a_chart_shows_a_name_as_it_is():
    assert chart_text("<b>a</b> & %{x}") == "&lt;b&gt;a&lt;/b&gt; &amp; %&#123;x}"


def test_a_missing_number_is_a_dash():
    assert (number(0.12345), number(1234, ",d"), number(None)) == ("0.123", "1,234", "–")


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "less than 1 MiB"), (2**20, "1 MiB"), (1023 * 2**20, "1023 MiB"), (3 * 2**29, "1.5 GiB")],
)
def test_sizes_of_files_are_in_binary_units(size, words):
    assert file_size(size) == words
