// Overlays of the grey picture: masks, heat maps and boxes.

const HEAT_STRIP_PX = 7;

/** Draw a picture that a negative width or height mirrors, which drawImage alone does not. */
function drawTurned(context, picture, left, top, width, height) {
  context.save();
  context.translate(left, top);
  context.scale(Math.sign(width), Math.sign(height));
  context.drawImage(picture, 0, 0, Math.abs(width), Math.abs(height));
  context.restore();
}

/** A canvas off the screen that holds one coloured picture. */
class Picture {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.key = "";
  }

  /** Colour `values` by `table`, unless that is what the canvas holds already. */
  paint(key, values, width, height, table) {
    if (this.key === key) return this.canvas;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.image = new ImageData(width, height);
      this.words = new Uint32Array(this.image.data.buffer);
    }
    const words = this.words;
    for (let i = 0; i < words.length; i++) words[i] = table[values[i]];
    this.canvas.getContext("2d").putImageData(this.image, 0, 0);
    this.key = key;
    return this.canvas;
  }

  free() {
    this.canvas.width = this.canvas.height = 0;
    this.image = this.words = null;
    this.key = "";
  }
}

/** One overlay of the study with its opacity and what was fetched for it. */
class Layer {
  constructor(spec, viewer) {
    this.spec = spec;
    this.viewer = viewer;
    this.opacity = spec.opacity;
    this.shown = spec.shown;
    this.pictures = { axial: new Picture(), sagittal: new Picture(), coronal: new Picture() };
    if (spec.kind !== "boxes") this.openStores();
    this.table = this.colorTable();
  }

  openStores() {
    const { fetcher, geometry } = this.viewer;
    const events = { onLoad: () => this.viewer.redraw(), onFail: (e) => this.viewer.fail(e) };
    this.slices = new SliceStore(fetcher, this.spec.source, {
      count: geometry.slices,
      pixels: geometry.rows * geometry.columns,
      words: false,
      only: this.spec.slices,
      ...events,
    });
    if (this.spec.kind === "mask") {
      this.planes = new PlanesStore(fetcher, this.spec.source, { words: false, ...events });
    }
  }

  colorTable() {
    return this.spec.kind === "heat" ? heatTable(this.spec.stops) : this.maskTable();
  }

  maskTable() {
    const table = new Uint32Array(256);
    for (const [label, color] of Object.entries(this.spec.colors ?? {})) {
      table[Number(label)] = colorWord(color, 255);
    }
    return table;
  }

  /** Apply a new description of the same overlay; the user's choices are kept. */
  update(spec) {
    if (spec.source !== this.spec.source) {
      this.free();
      this.spec = spec;
      if (spec.kind !== "boxes") this.openStores();
      this.table = this.colorTable();
    }
    this.spec = spec;
  }

  want(index, direction) {
    if (this.shown) this.slices?.want(index, direction, 6);
  }

  /** The picture over a pane, null if there is none (yet). */
  picture(kind, at) {
    if (this.spec.kind === "boxes" || !this.shown) return null;
    const { geometry } = this.viewer;
    const { width, height } = geometry.image(kind);
    if (kind === "axial") {
      const values = this.slices.peek(at.z);
      return values && this.pictures.axial.paint(`${at.z}`, values, width, height, this.table);
    }
    if (!this.planes) return null; // a heat map, which is drawn as a strip
    this.planes.want();
    if (!this.planes.voxels) return null;
    const index = geometry.planeIndex(kind, at);
    if (this.pictures[kind].key === `${index}`) return this.pictures[kind].canvas;
    const values = geometry.cut(kind, this.planes.voxels, index, Uint8Array);
    return this.pictures[kind].paint(`${index}`, values, width, height, this.table);
  }

  /** The boxes from the least score, where a hand moves it from the hand's. */
  get boxes() {
    const { boxes, least } = this.spec;
    if (!least) return boxes;
    const from = AHEAD.get(least.name) ?? least.score;
    return boxes.filter(([, , , , , score]) => score >= from);
  }

  /** Draw the boxes of slice z; `place` turns pixels (u, v) into the canvas's. */
  drawBoxes(context, z, place) {
    const { color, dashed, scores } = this.spec;
    context.save();
    context.globalAlpha = this.opacity;
    context.strokeStyle = color;
    context.lineWidth = 2;
    context.setLineDash(dashed ? [7, 4] : []);
    context.font = "600 12px system-ui, sans-serif";
    for (const [slice, left, top, right, bottom, score] of this.boxes) {
      if (slice !== z) continue;
      // A box's edges lie between pixels: 0 is the outer edge of the first one.
      const from = place(left - 0.5, top - 0.5);
      const to = place(right - 0.5, bottom - 0.5);
      context.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
      const corner = { x: Math.min(from.x, to.x), y: Math.min(from.y, to.y) };
      if (scores) this.drawScore(context, score.toFixed(2), corner);
    }
    context.restore();
  }

  /** Draw where boxes cross the plane through `at`: one band per slice, closed where they end. */
  drawBoxesAcross(context, kind, at, place) {
    const bands = this.bandsAcross(kind, at, place);
    const bySlice = new Map(bands.map((band) => [band.slice, band]));
    context.save();
    context.globalAlpha = this.opacity;
    context.strokeStyle = context.fillStyle = this.spec.color;
    context.lineWidth = 1.5;
    context.setLineDash(this.spec.dashed ? [5, 3] : []);
    for (const { slice, left, right, top, bottom } of bands) {
      context.globalAlpha = this.opacity * 0.18;
      context.fillRect(left, top, right - left, bottom - top);
      context.globalAlpha = this.opacity;
      const path = new Path2D(`M${left} ${top} V${bottom} M${right} ${top} V${bottom}`);
      if (!bySlice.has(slice - 1)) path.addPath(new Path2D(`M${left} ${top} H${right}`));
      if (!bySlice.has(slice + 1)) path.addPath(new Path2D(`M${left} ${bottom} H${right}`));
      context.stroke(path);
    }
    if (this.spec.scores && bands.length) {
      const best = bands.reduce((a, b) => (b.score > a.score ? b : a));
      context.font = "600 12px system-ui, sans-serif";
      const corner = { x: Math.min(best.left, best.right), y: Math.min(best.top, best.bottom) };
      this.drawScore(context, best.score.toFixed(2), corner);
    }
    context.restore();
  }

  bandsAcross(kind, at, place) {
    const { geometry } = this.viewer;
    const bands = [];
    for (const [slice, left, top, right, bottom, score] of this.boxes) {
      const [from, to, near, far] =
        kind === "sagittal" ? [left, right, top, bottom] : [top, bottom, left, right];
      const cut = (kind === "sagittal" ? at.x : at.y) + 0.5;
      if (cut < from || cut >= to) continue;
      const [upper, lower] = geometry.faces(slice);
      const start = place(geometry.columnAt(kind, near), geometry.rowAt(upper));
      const end = place(geometry.columnAt(kind, far), geometry.rowAt(lower));
      bands.push({ slice, score, left: start.x, right: end.x, top: start.y, bottom: end.y });
    }
    return bands;
  }

  /** Draw the row of a heat map that a plane crosses, at the height of its slice. */
  drawHeatAcross(context, kind, at, place) {
    const { geometry } = this.viewer;
    const { rows, columns } = geometry;
    const count = kind === "sagittal" ? rows : columns;
    context.save();
    context.globalAlpha = this.opacity;
    for (const slice of this.spec.slices) {
      const values = this.slices.peek(slice);
      if (!values) continue;
      const row = new Uint8Array(count);
      for (let i = 0; i < count; i++) {
        row[i] = kind === "sagittal" ? values[i * columns + at.x] : values[at.y * columns + i];
      }
      const cut = kind === "sagittal" ? at.x : at.y;
      const strip = this.pictures[kind].paint(`${slice} ${cut}`, row, count, 1, this.table);
      const [upper, lower] = geometry.faces(slice);
      const start = place(geometry.columnAt(kind, 0), geometry.rowAt(upper));
      const end = place(geometry.columnAt(kind, count), geometry.rowAt(lower));
      // A slice is a pixel or two high in these planes: too thin to distinguish colours.
      const height = Math.max(Math.abs(end.y - start.y), HEAT_STRIP_PX);
      drawTurned(context, strip, start.x, (start.y + end.y - height) / 2, end.x - start.x, height);
    }
    context.restore();
  }

  /** Write a score above the upper left corner of a box, or as near to it as the pane allows. */
  drawScore(context, text, { x, y }) {
    context.textAlign = "left";
    const { clientWidth, clientHeight } = context.canvas;
    const [width, height] = [context.measureText(text).width + 8, 16];
    const within = (value, most) => Math.min(Math.max(value, 0), Math.max(most, 0));
    const left = within(x - 1, clientWidth - width);
    const top = within(y - 17, clientHeight - height);
    context.fillStyle = this.spec.color;
    context.fillRect(left, top, width, height);
    context.fillStyle = "#14100a";
    context.fillText(text, left + 4, top + 12);
  }

  free() {
    this.slices?.clear();
    this.planes?.clear();
    Object.values(this.pictures).forEach((picture) => picture.free());
  }
}
