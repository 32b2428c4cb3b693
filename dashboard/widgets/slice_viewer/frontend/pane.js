// One pane: an axial, sagittal or coronal picture with its overlays.

const LENS = { radius: 90, zoom: 2.5 };

/** Where the centre of pixel (u, v) of an image lies on the canvas. */
const placeIn = ({ left, top, sx, sy }, u, v) => ({ x: left + (u + 0.5) * sx, y: top + (v + 0.5) * sy });

class Pane {
  constructor(viewer, kind, canvas) {
    Object.assign(this, { viewer, kind, canvas });
    this.context = canvas.getContext("2d", { alpha: false });
    this.grey = new Picture();
    this.view = { zoom: 1, x: 0, y: 0 };
  }

  reset() {
    this.view = { zoom: 1, x: 0, y: 0 };
  }

  get visible() {
    return this.canvas.clientWidth > 0 && this.canvas.clientHeight > 0;
  }

  /** Pixels per mm at which the part to fit fills the pane. */
  get fit() {
    const { mmX, mmY } = this.viewer.geometry.image(this.kind);
    const { clientWidth, clientHeight } = this.canvas;
    const [from, upper, to, lower] = this.viewer.geometry.fitted(this.kind);
    return Math.min(clientWidth / ((to - from) * mmX), clientHeight / ((lower - upper) * mmY));
  }

  /** Where the image lies on the canvas, in CSS pixels; sx and sy are negative where it is mirrored. */
  layout() {
    const { geometry, look } = this.viewer;
    const { width, height, mmX, mmY } = geometry.image(this.kind);
    const { clientWidth, clientHeight } = this.canvas;
    const [from, upper, to, lower] = geometry.fitted(this.kind);
    const pxPerMm = this.viewer.fit * this.view.zoom;
    const { across, down } = look.flipOf(this.kind);
    const [sx, sy] = [pxPerMm * mmX * (across ? -1 : 1), pxPerMm * mmY * (down ? -1 : 1)];
    const left = clientWidth / 2 - ((from + to) / 2) * sx + this.view.x;
    const top = clientHeight / 2 - ((upper + lower) / 2) * sy + this.view.y;
    return { width, height, sx, sy, left, top, pxPerMm };
  }

  /** Pixel (u, v) of the image under a place on the canvas. */
  pixelAt(x, y) {
    const { sx, sy, left, top } = this.layout();
    return { u: (x - left) / sx - 0.5, v: (y - top) / sy - 0.5 };
  }

  voxelAt(x, y) {
    const { u, v } = this.pixelAt(x, y);
    return this.viewer.geometry.fromPane(this.kind, u, v, this.viewer.at);
  }

  /** Zoom by a factor and keep the image under (x, y) where it is. */
  zoomAt(x, y, factor) {
    const zoom = Math.min(Math.max(this.view.zoom * factor, 0.5), 20);
    const change = zoom / this.view.zoom;
    const [middleX, middleY] = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2];
    this.view.x = x - middleX - (x - middleX - this.view.x) * change;
    this.view.y = y - middleY - (y - middleY - this.view.y) * change;
    this.view.zoom = zoom;
  }

  fitBacking() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  /** The grey picture to draw: the slice itself, else the reduced one until it has arrived. */
  greyPicture() {
    const { viewer, kind } = this;
    const { geometry, at } = viewer;
    const { width, height } = geometry.image(kind);
    const { table, serial } = viewer.look.window;
    if (viewer.look.slab.mode) {
      const slab = viewer.slabs.of(kind);
      if (slab) return this.grey.paint(`${slab.key} ${serial}`, slab.values, width, height, table);
    }
    if (kind === "axial") {
      const values = viewer.slices.peek(at.z);
      if (values) return this.grey.paint(`${at.z} ${serial}`, values, width, height, table);
      return this.reducedAxial() ?? (this.grey.canvas.width ? this.grey.canvas : null);
    }
    viewer.planes.want();
    if (!viewer.planes.voxels) return null;
    const index = geometry.planeIndex(kind, at);
    const key = `${index} ${serial}`;
    if (this.grey.key === key) return this.grey.canvas;
    const values = geometry.cut(kind, viewer.planes.voxels, index, Uint16Array);
    return this.grey.paint(key, values, width, height, table);
  }

  reducedAxial() {
    const { planes, geometry, at } = this.viewer;
    const { window: shown } = this.viewer.look;
    if (!planes.voxels) return null;
    const place = Math.floor((geometry.top - geometry.zMm[at.z]) / geometry.stepZ);
    const index = Math.min(Math.max(place, 0), geometry.planeZ - 1);
    const values = geometry.cut("axial", planes.voxels, index, Uint16Array);
    const key = `reduced ${index} ${shown.serial}`;
    return this.grey.paint(key, values, geometry.planeX, geometry.planeY, shown.table);
  }

  draw() {
    if (!this.visible) return;
    const { viewer, kind, context, canvas } = this;
    const { clientWidth, clientHeight } = canvas;
    this.fitBacking();
    context.fillStyle = "#000";
    context.fillRect(0, 0, clientWidth, clientHeight);
    const layout = this.layout();
    const grey = this.greyPicture();
    this.drawContent(layout, grey);
    if (viewer.look.paneCount > 1) {
      const { u, v } = viewer.geometry.toPane(kind, viewer.at);
      drawCross(context, placeIn(layout, u, v), clientWidth, clientHeight, viewer.data.current);
    }
    if (viewer.look.magnifies && viewer.hovered?.pane === this) this.drawLens(layout, grey);
    drawHud(context, viewer, kind, clientWidth, clientHeight, layout.pxPerMm);
    if (!grey) write(context, "loading …", clientWidth / 2, clientHeight / 2 - 24, "center");
  }

  /** The picture with its overlays and marks. */
  drawContent(layout, grey) {
    const { viewer, kind, context } = this;
    const { width, height, sx, sy, left, top } = layout;
    const lay = (picture, smooth, alpha) => {
      context.imageSmoothingEnabled = smooth;
      context.globalAlpha = alpha;
      drawTurned(context, picture, left, top, width * sx, height * sy);
      context.globalAlpha = 1;
    };
    if (grey) lay(grey, viewer.look.smooth, 1);
    for (const layer of viewer.layers) {
      const picture = layer.picture(kind, viewer.at);
      if (picture) lay(picture, layer.spec.kind === "heat", layer.opacity);
    }
    this.drawVectors((u, v) => placeIn(layout, u, v));
    drawMarks(this, layout);
  }

  /** A round part of the picture around the pointer, enlarged. */
  drawLens(layout, grey) {
    const { context, viewer } = this;
    const { x, y } = viewer.hovered;
    const away = (place, edge) => place + (edge - place) * LENS.zoom;
    const scale = { sx: layout.sx * LENS.zoom, sy: layout.sy * LENS.zoom };
    const circle = new Path2D();
    circle.arc(x, y, LENS.radius, 0, 2 * Math.PI);
    context.save();
    context.clip(circle);
    context.fillStyle = "#000";
    context.fill(circle);
    this.drawContent({ ...layout, ...scale, left: away(x, layout.left), top: away(y, layout.top) }, grey);
    context.restore();
    strokeTwice(context, circle, INK, 1.5);
  }

  /** What is drawn as lines or strips, so that it stays sharp at every zoom. */
  drawVectors(place) {
    const { viewer, kind, context } = this;
    for (const layer of viewer.layers) {
      if (!layer.shown) continue;
      const what = layer.spec.kind;
      if (what === "boxes" && kind === "axial") layer.drawBoxes(context, viewer.at.z, place);
      else if (what === "boxes") layer.drawBoxesAcross(context, kind, viewer.at, place);
      else if (what === "heat" && kind !== "axial") {
        layer.drawHeatAcross(context, kind, viewer.at, place);
      }
    }
  }

  free() {
    this.grey.free();
    this.canvas.width = this.canvas.height = 0;
  }
}
