// Icons of the toolbar: lines on a grid of 24.

const ICONS = {
  window: "M12 3a9 9 0 1 0 0 18z M12 3a9 9 0 0 1 0 18 M12 7h4 M12 11h6 M12 15h5",
  pan: "M12 3v18 M3 12h18 M9 6l3-3 3 3 M9 18l3 3 3-3 M6 9l-3 3 3 3 M18 9l3 3-3 3",
  length: "M4 20L20 4 M2 18l4 4 M18 2l4 4",
  angle: "M4 20L18 4 M4 20h17 M11 12a9 9 0 0 1 4 8",
  cobb: "M3 5l18 4 M3 20l18-5 M12 7v10",
  ellipse: "M12 6c5 0 9 2.7 9 6s-4 6-9 6-9-2.7-9-6 4-6 9-6z",
  rectangle: "M3 6h18v12H3z M8 10h8 M8 14h8",
  probe: "M12 2v7 M12 15v7 M2 12h7 M15 12h7 M12 12h.01",
  arrow: "M4 20L20 4 M10 4h10v10",
  box: "M3 5h18v14H3z",
  undo: "M8 5L3 10l5 5 M3 10h11a6 6 0 0 1 0 12h-3",
  redo: "M16 5l5 5-5 5 M21 10H10a6 6 0 0 0 0 12h3",
  delete: "M4 7h16 M9 7V4h6v3 M6 7l1 14h10l1-14 M10 11v6 M14 11v6",
  clear: "M4 7h16 M9 7V4h6v3 M6 7l1 14h10l1-14 M9 11l6 6 M15 11l-6 6",
  marks: "M2 12c3-5 6-7 10-7s7 2 10 7c-3 5-6 7-10 7s-7-2-10-7z M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  invert: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z M12 3v18 M12 8l6-2 M12 13l8-3 M12 18l7-4",
  "flip-across": "M12 3v18 M9 7L3 17h6z M15 7l6 10h-6z",
  "flip-down": "M3 12h18 M7 9L17 3v6z M7 15l10 6v-6z",
  magnify: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14z M15 15l6 6 M7 10h6 M10 7v6",
  smooth: "M3 18c4 0 5-12 9-12s5 12 9 12",
  fill: "M4 9V4h5 M20 9V4h-5 M4 15v5h5 M20 15v5h-5",
  cine: "M6 4l14 8-14 8z",
  stop: "M6 5h4v14H6z M14 5h4v14h-4z",
  shot: "M3 8h4l2-3h6l2 3h4v11H3z M12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z",
  reset: "M4 12a8 8 0 1 0 3-6 M7 2v5H2",
  help: "M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2 M12 18h.01",
  measure: "M3 15L15 3l6 6L9 21z M7 11l2 2 M10 8l3 3 M13 5l2 2",
  display: "M4 6h9 M17 6h3 M15 4v4 M4 12h3 M11 12h9 M9 10v4 M4 18h11 M19 18h1 M17 16v4",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
