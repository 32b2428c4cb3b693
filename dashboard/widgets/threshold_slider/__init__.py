"""Sliders of thresholds that the page follows in the browser while they are dragged."""
