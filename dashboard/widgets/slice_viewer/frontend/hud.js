// The text over a pane: corners, direction letters, scale bar and crosshair.

const INK = "#f6e7c4";
const EDGE_PX = 8;
/** Room for the direction letter in the middle of the lower edge. */
const LETTER_PX = 24;
const minus = (text) => text.replace("-", "\u2212");

/** Write a text, squeezed where it would be wider than `most` pixels. */
function write(context, text, x, y, align = "left", weight = 500, size = 12, most = undefined) {
  context.font = `${weight} ${size}px system-ui, sans-serif`;
  context.textAlign = align;
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = "rgba(0, 0, 0, .8)";
  context.strokeText(text, x, y, most);
  context.fillStyle = INK;
  context.fillText(text, x, y, most);
}

/** Length in mm for a bar of about a quarter of the pane: 1, 2 or 5 times a power of ten. */
function barLength(mm) {
  const power = 10 ** Math.floor(Math.log10(mm));
  return [5, 2, 1].map((k) => k * power).find((length) => length <= mm) ?? power;
}

function drawScale(context, width, height, pxPerMm) {
  const mm = barLength((width * 0.25) / pxPerMm);
  const length = mm * pxPerMm;
  const [x, y] = [(width - length) / 2, height - 26];
  context.lineWidth = 4;
  context.strokeStyle = "rgba(0, 0, 0, .8)";
  const path = new Path2D(`M${x} ${y - 4} V${y} H${x + length} V${y - 4}`);
  context.stroke(path);
  context.lineWidth = 1.5;
  context.strokeStyle = INK;
  context.stroke(path);
  write(context, mm >= 10 ? `${mm / 10} cm` : `${mm} mm`, x + length / 2, y - 8, "center", 500, 11);
}

function drawLetters(context, width, height, letters) {
  const [left, right, upper, lower] = letters;
  write(context, left, 8, height / 2, "left", 700, 14);
  write(context, right, width - 8, height / 2, "right", 700, 14);
  write(context, upper, width / 2, 18, "center", 700, 14);
  write(context, lower, width / 2, height - 8, "center", 700, 14);
}

/** What the slab of a pane is, and whether slices of it are still to come. */
function slabText(viewer, kind) {
  const { mode, mm } = viewer.look.slab;
  if (!mode) return "";
  return `${SLABS[mode]} ${mm} mm${viewer.slabs.of(kind)?.whole === false ? " …" : ""}`;
}

/** Texts in the corners of a pane. */
function cornerTexts(viewer, kind) {
  const { geometry, at } = viewer;
  const { window: shown } = viewer.look;
  const { slices, columns, rows, zMm } = geometry;
  const place = {
    axial: [`slice ${at.z} / ${slices - 1}`, `z ${minus(zMm[at.z].toFixed(1))} mm`],
    sagittal: [`sagittal`, `x ${at.x} / ${columns - 1}`],
    coronal: [`coronal`, `y ${at.y} / ${rows - 1}`],
  }[kind];
  const window = `C ${minus(String(Math.round(shown.center)))}  W ${Math.round(shown.width)} HU`;
  return [...place, [kind === "axial" ? window : "", slabText(viewer, kind)].filter(Boolean).join("  ")];
}

function drawHud(context, viewer, kind, width, height, pxPerMm) {
  const [topLeft, topRight, bottomLeft] = cornerTexts(viewer, kind);
  const most = Math.max(width - 2 * EDGE_PX, 1);
  const corner = (text, x, y, align) => write(context, text, x, y, align, 500, 12, most);
  context.font = "500 12px system-ui, sans-serif";
  const wide = (text) => context.measureText(text).width;
  const fits = wide(topLeft) + wide(topRight) + 3 * EDGE_PX < width;
  corner(topLeft, EDGE_PX, 17, "left");
  corner(topRight, fits ? width - EDGE_PX : EDGE_PX, fits ? 17 : 33, fits ? "right" : "left");
  const zoom = viewer.panes[kind].view.zoom;
  const percent = zoom === 1 ? "" : `${Math.round(zoom * 100)} %`;
  const beside = (width - LETTER_PX) / 2 - EDGE_PX;
  const low = height - 9;
  corner(bottomLeft, EDGE_PX, wide(bottomLeft) < beside ? low : fits ? 33 : 49, "left");
  if (percent && wide(percent) < beside) corner(percent, width - EDGE_PX, low, "right");
  const [left, right, upper, lower] = viewer.geometry.edges(kind);
  const { across, down } = viewer.look.flipOf(kind);
  const sides = across ? [right, left] : [left, right];
  drawLetters(context, width, height, [...sides, ...(down ? [lower, upper] : [upper, lower])]);
  drawScale(context, width, height, pxPerMm);
}

/** Lines through the current voxel, open at the middle so that nothing is hidden. */
function drawCross(context, { x, y }, width, height, color) {
  const gap = 14;
  context.lineWidth = 1;
  context.strokeStyle = color;
  context.globalAlpha = 0.9;
  const path = new Path2D(
    `M0 ${y} H${x - gap} M${x + gap} ${y} H${width} M${x} 0 V${y - gap} M${x} ${y + gap} V${height}`,
  );
  context.stroke(path);
  context.globalAlpha = 1;
}
