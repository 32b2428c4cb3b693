from __future__ import annotations

from dashboard.widgets.html_table import html_table


def test_headings_are_explained_and_cells_are_html():
    table = html_table(
        ["Model", ("F1", 'a "mean"')], [["<b>m</b>", "0.5"]], last_row="<tr><td>last</td></tr>"
    )
    assert '<th>Model</th><th title="a &quot;mean&quot;">F1</th>' in table
    assert "<tbody><tr><td><b>m</b></td><td>0.5</td></tr><tr><td>last</td></tr></tbody>" in table
    assert "\n" not in table
