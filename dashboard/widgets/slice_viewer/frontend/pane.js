// One pane: an axial, sagittal or coronal picture with its overlays.

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

  /** Where the image lies on the canvas, in CSS pixels. */
  layout() {
    const { width, height, mmX, mmY } = this.viewer.geometry.image(this.kind);
    const { clientWidth, clientHeight } = this.canvas;
    const [from, upper, to, lower] = this.viewer.geometry.fitted(this.kind);
    const fit = Math.min(clientWidth / ((to - from) * mmX), clientHeight / ((lower - upper) * mmY));
    const pxPerMm = fit * this.view.zoom;
    const [sx, sy] = [pxPerMm * mmX, pxPerMm * mmY];
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
    const { table, serial } = viewer.window;
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
    const { planes, geometry, at, window: shown } = this.viewer;
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
    const { width, height, sx, sy, left, top, pxPerMm } = this.layout();
    const lay = (picture, smooth, alpha) => {
      context.imageSmoothingEnabled = smooth;
      context.globalAlpha = alpha;
      context.drawImage(picture, left, top, width * sx, height * sy);
      context.globalAlpha = 1;
    };
    const grey = this.greyPicture();
    if (grey) lay(grey, viewer.smooth, 1);
    for (const layer of viewer.layers) {
      const picture = layer.picture(kind, viewer.at);
      if (picture) lay(picture, layer.spec.kind === "heat", layer.opacity);
    }
    const place = (u, v) => ({ x: left + (u + 0.5) * sx, y: top + (v + 0.5) * sy });
    this.drawVectors(place);
    if (viewer.paneCount > 1) {
      const { u, v } = viewer.geometry.toPane(kind, viewer.at);
      drawCross(context, place(u, v), clientWidth, clientHeight, viewer.data.current);
    }
    drawHud(context, viewer, kind, clientWidth, clientHeight, pxPerMm);
    if (!grey) write(context, "loading …", clientWidth / 2, clientHeight / 2 - 24, "center");
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
