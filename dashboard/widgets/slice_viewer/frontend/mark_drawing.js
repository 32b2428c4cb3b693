// Marks on a pane: lines, figures and handles, and which of them is under the pointer.

const MARK_INK = "#7fe3f5";
const CHOSEN_INK = "#ffd166";
const LABEL_PX = 15;

/** Where a mark lies on a pane, in CSS pixels. */
function markPlaces(pane, mark, layout) {
  const { geometry } = pane.viewer;
  const { mmX, mmY } = geometry.image(pane.kind);
  return mark.points.map((point) => {
    const [across, down] = geometry.toMm(pane.kind, point);
    return [layout.left + (across / mmX) * layout.sx, layout.top + (down / mmY) * layout.sy];
  });
}

/** The lines of a mark as SVG path data; a draft may lack points. */
function markPath(kind, places) {
  const line = (points) => `M${points.map((p) => p.join(" ")).join(" L")}`;
  const [first, second] = places;
  if (kind === "probe") {
    const [x, y] = first;
    return `M${x - 8} ${y} H${x - 2} M${x + 2} ${y} H${x + 8} M${x} ${y - 8} V${y - 2} M${x} ${y + 2} V${y + 8}`;
  }
  if (places.length < 2) return "";
  if (kind === "cobb") return places.length < 4 ? line([first, second]) : line([first, second]) + line(places.slice(2));
  if (kind === "arrow") return line([first, second]) + arrowHead(first, second);
  if (!MARKS[kind].region && kind !== "box") return line(places);
  const [left, top, right, bottom] = cornersOf(places);
  if (kind !== "ellipse") return `M${left} ${top} H${right} V${bottom} H${left} Z`;
  const [rx, ry, y] = [(right - left) / 2, (bottom - top) / 2, (top + bottom) / 2];
  return `M${left} ${y} A${rx} ${ry} 0 1 1 ${right} ${y} A${rx} ${ry} 0 1 1 ${left} ${y}`;
}

/** The head at the first point: an arrow is drawn from what it points at. */
function arrowHead([x, y], [tailX, tailY]) {
  const turn = Math.atan2(tailY - y, tailX - x);
  const end = (by) => `${x + 11 * Math.cos(turn + by)} ${y + 11 * Math.sin(turn + by)}`;
  return `M${end(0.45)} L${x} ${y} L${end(-0.45)}`;
}

function strokeTwice(context, path, ink, width) {
  context.lineJoin = context.lineCap = "round";
  context.lineWidth = width + 2.5;
  context.strokeStyle = "rgba(0, 0, 0, .65)";
  context.stroke(path);
  context.lineWidth = width;
  context.strokeStyle = ink;
  context.stroke(path);
}

function drawMark(pane, mark, layout, { chosen = false, draft = false } = {}) {
  const { context } = pane;
  const places = markPlaces(pane, mark, layout);
  const ink = chosen || draft ? CHOSEN_INK : MARK_INK;
  strokeTwice(context, new Path2D(markPath(mark.kind, places)), ink, chosen ? 2 : 1.5);
  if (chosen || draft) {
    for (const [x, y] of places) strokeTwice(context, new Path2D(`M${x - 3} ${y - 3} h6 v6 h-6 Z`), ink, 1.5);
  }
  if (draft && mark.points.length < MARKS[mark.kind].points) return;
  const { value, details } = pane.viewer.book.figure(mark);
  const lines = [value, ...details].filter(Boolean);
  const { clientWidth, clientHeight } = pane.canvas;
  const lower = [Math.max(...places.map(([x]) => x)), Math.max(...places.map(([, y]) => y))];
  const wraps = MARKS[mark.kind].region || mark.kind === "box";
  const [tailX, tailY] = wraps ? lower : mark.kind === "angle" ? places[1] : places[places.length - 1];
  context.font = "600 12px system-ui, sans-serif";
  const wide = Math.max(0, ...lines.map((text) => context.measureText(text).width));
  const left = Math.max(Math.min(tailX + 7, clientWidth - wide - 4), 4);
  const top = Math.max(Math.min(tailY + 4, clientHeight - LABEL_PX * lines.length), LABEL_PX);
  lines.forEach((text, k) => write(context, text, left, top + k * LABEL_PX, "left", 600, 12));
}

function drawMarks(pane, layout) {
  const { book, drafting, look } = pane.viewer;
  if (!look.showsMarks) return;
  for (const mark of book.on(pane.kind)) drawMark(pane, mark, layout, { chosen: mark.id === book.selected });
  const draft = drafting.preview(pane);
  if (draft) drawMark(pane, draft, layout, { draft: true });
  if (drafting.cursor?.pane === pane) {
    const [x, y] = drafting.cursorPlace(layout);
    strokeTwice(pane.context, new Path2D(`M${x - 10} ${y} h20 M${x} ${y - 10} v20`), CHOSEN_INK, 1.5);
  }
}

/** The mark under a place, the latest first: {mark, handle}; handle null on its lines. */
function markUnder(pane, x, y, reach) {
  const { book, look } = pane.viewer;
  if (!look.showsMarks) return null;
  const layout = pane.layout();
  const { context } = pane;
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.lineWidth = 2 * reach;
  let found = null;
  for (const mark of book.on(pane.kind).reverse()) {
    const places = markPlaces(pane, mark, layout);
    const handle = places.findIndex(([px, py]) => Math.hypot(px - x, py - y) <= reach);
    const onLine = handle >= 0 || context.isPointInStroke(new Path2D(markPath(mark.kind, places)), x, y);
    if (!onLine) continue;
    found = { mark, handle: handle < 0 ? null : handle };
    break;
  }
  context.restore();
  return found;
}
