"""The threshold board: sliders in the browser that the page follows while they are dragged."""
