// The viewer: joins panes, ribbon and toolbar, and talks to Python.

const REPORT_MS = 140;
const PREFETCH = 24;
const KEPT = new Map();
const VIEWERS = new WeakMap();

class Viewer {
  constructor(root) {
    this.root = root;
    this.listeners = new AbortController();
    const { signal } = this.listeners;
    this.at = { z: 0, y: 0, x: 0 };
    this.layers = [];
    this.direction = 1;
    this.times = [];
    this.panes = {};
    for (const kind of ["axial", "sagittal", "coronal"]) {
      this.panes[kind] = new Pane(this, kind, root.querySelector(`canvas.${kind}`));
      new Gestures(this, this.panes[kind], signal);
    }
    this.ribbon = new RibbonStrip(this, root.querySelector("canvas.ribbon"), signal);
    this.toolbar = new Toolbar(this, root, signal);
    followThresholds((name) => {
      if (this.layers.some(({ spec }) => spec.least?.name === name)) this.redraw();
    }, signal);
    this.sizes = new ResizeObserver(() => this.redraw());
    for (const canvas of root.querySelectorAll("canvas")) this.sizes.observe(canvas);
  }

  /** Apply the data from Python; called at the first drawing and at every rerun that changes it. */
  update(data, setStateValue) {
    this.setStateValue = setStateValue;
    const fresh = this.data?.source !== data.source;
    this.data = data;
    if (fresh) this.openStudy();
    this.takeLayers();
    this.root.style.setProperty("--height", `var(--lab-stage-height, ${data.height}px)`);
    if (this.serial !== data.goTo.serial) {
      this.serial = data.goTo.serial;
      this.reported = "";
      clearTimeout(this.reporting);
      this.show(data.goTo.slice);
    }
    this.toolbar.show();
    this.fetchAround();
    this.redraw();
  }

  openStudy() {
    this.closeStudy();
    // What failed for the pixels before, such as those of a server that has ended.
    this.say("");
    const { data } = this;
    this.geometry = new Geometry(data);
    this.fetcher = new Fetcher(data.path, data.proof);
    const events = { onLoad: (i) => this.loaded(i), onFail: (error) => this.fail(error) };
    this.slices = new SliceStore(this.fetcher, data.source, {
      count: this.geometry.slices, pixels: this.geometry.rows * this.geometry.columns,
      words: true, ...events,
    });
    this.planes = new PlanesStore(this.fetcher, data.source, { words: true, ...events });
    this.hovered = null;
    this.at = { z: 0, y: this.geometry.rows >> 1, x: this.geometry.columns >> 1 };
    const kept = KEPT.get(data.key) ?? {};
    this.paneCount = kept.paneCount ?? data.panes;
    this.tool = kept.tool ?? "window";
    this.smooth = kept.smooth ?? true;
    const [preset, [center, width]] = Object.entries(data.windows)[0];
    this.window = kept.window ?? { preset, center, width, serial: 0, table: greyTable(center, width) };
    Object.values(this.panes).forEach((pane) => pane.reset());
  }

  takeLayers() {
    const before = new Map(this.layers.map((layer) => [layer.spec.name, layer]));
    this.layers = this.data.overlays.map((spec) => {
      const known = before.get(spec.name);
      if (!known || known.spec.kind !== spec.kind) return new Layer(spec, this);
      before.delete(spec.name);
      known.update(spec);
      return known;
    });
    before.forEach((layer) => layer.free());
    this.toolbar.fillLegend();
  }

  loaded(index) {
    if (index === undefined || index === this.at.z) this.redraw();
  }

  fail(error) {
    this.say(`The pixels could not be loaded: ${error.message} Reload the page to try again.`);
  }

  say(text) {
    this.root.querySelector(".status").textContent = text;
  }

  keep() {
    const { paneCount, tool, smooth, window } = this;
    KEPT.set(this.data.key, { paneCount, tool, smooth, window });
  }

  setWindow(center, width, preset = "custom") {
    const serial = this.window.serial + 1;
    this.window = { preset, center, width, serial, table: greyTable(center, width) };
    this.keep();
    this.toolbar.showWindow();
    this.redraw();
  }

  setPreset(name) {
    this.setWindow(...this.data.windows[name], name);
  }

  setTool(tool) {
    this.tool = tool;
    this.keep();
  }

  setSmooth(smooth) {
    this.smooth = smooth;
    this.keep();
    this.toolbar.show();
    this.redraw();
  }

  setPanes(count) {
    this.paneCount = count;
    this.keep();
    this.toolbar.show();
    this.redraw();
  }

  /** Back to the whole picture; without a pane, all of them and the first window. */
  reset(pane) {
    (pane ? [pane] : Object.values(this.panes)).forEach((one) => one.reset());
    const [name] = Object.keys(this.data.windows);
    this.setPreset(this.window.preset === "custom" || !pane ? name : this.window.preset);
  }

  scroll(kind, step) {
    const axis = { axial: "z", sagittal: "x", coronal: "y" }[kind];
    const last = this.geometry.depth(kind) - 1;
    const place = Math.min(Math.max(this.at[axis] + step, 0), last);
    if (kind === "axial") this.goTo(place);
    else {
      this.at = { ...this.at, [axis]: place };
      this.redraw();
    }
  }

  /** Show a slice because the user asked for it, and notify Python once they stop. */
  goTo(index) {
    this.show(index);
    this.report();
  }

  show(index) {
    const last = this.geometry.slices - 1;
    const z = Math.min(Math.max(index, 0), last);
    if (z !== this.at.z) this.direction = z > this.at.z ? 1 : -1;
    this.at = { ...this.at, z };
    this.fetchAround();
    this.redraw();
  }

  fetchAround() {
    this.slices.want(this.at.z, this.direction, PREFETCH);
    this.layers.forEach((layer) => layer.want(this.at.z, this.direction));
  }

  click(voxel) {
    this.at = voxel;
    this.goTo(voxel.z);
  }

  /** Remember the place under the pointer: {pane, x, y}, or null once it has left. */
  hover(place) {
    this.hovered = place;
    this.readOut();
  }

  /** Show HU and position under the pointer, on the slice that is on show by now. */
  readOut() {
    const readout = this.root.querySelector(".readout");
    const voxel = this.hovered?.pane.voxelAt(this.hovered.x, this.hovered.y);
    if (!voxel) {
      readout.textContent = "Point at the picture to read HU and position.";
      return;
    }
    const values = this.slices.peek(voxel.z);
    const hu = values ? (values[voxel.y * this.geometry.columns + voxel.x] << 16) >> 16 : null;
    const mm = this.geometry.lps(voxel).map((v) => minus(v.toFixed(1))).join(", ");
    const level = hu === null ? "…" : minus(String(hu));
    readout.textContent = `${level} HU · LPS ${mm} mm · x ${voxel.x}, y ${voxel.y}, slice ${voxel.z}`;
  }

  report() {
    clearTimeout(this.reporting);
    this.reporting = setTimeout(() => {
      const view = { slice: this.at.z, serial: this.serial };
      const text = JSON.stringify(view);
      if (text === this.reported) return;
      this.reported = text;
      this.setStateValue("view", view);
    }, REPORT_MS);
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (!this.geometry) return;
      const start = performance.now();
      Object.values(this.panes).forEach((pane) => pane.draw());
      this.ribbon.draw();
      if (this.hovered) this.readOut();
      this.announce();
      this.times.push(performance.now() - start);
      if (this.times.length > 600) this.times.shift();
    });
  }

  /** State for assistive technology; tests and benchmarks rely on it as well. */
  announce() {
    const { geometry, at } = this;
    const { canvas } = this.panes.axial;
    const place = (slider, count, now) => {
      slider.setAttribute("aria-valuemax", count - 1);
      slider.setAttribute("aria-valuenow", now);
    };
    place(canvas, geometry.slices, at.z);
    const words = this.data.ribbon ? this.ribbon.words(at.z) : `Slice ${at.z} of ${geometry.slices - 1}`;
    canvas.setAttribute("aria-valuetext", `${words}, z ${geometry.zMm[at.z].toFixed(1)} mm`);
    canvas.dataset.drawn = this.slices.peek(at.z) ? at.z : "";
    for (const [kind, value] of [["sagittal", at.x], ["coronal", at.y]]) {
      const other = this.panes[kind].canvas;
      place(other, geometry.depth(kind), value);
      other.dataset.drawn = this.planes.voxels ? value : "";
    }
    const strip = this.ribbon.canvas;
    place(strip, geometry.slices, at.z);
    strip.setAttribute("aria-valuetext", words);
    strip.title = this.data.ribbon ? `${words}. Click to jump.` : "";
  }

  /** The panes on show as one PNG; with slice, window and scale, and without patient data. */
  saveScreenshot() {
    const shown = Object.values(this.panes).filter((pane) => pane.visible).map((pane) => pane.canvas);
    const sheet = document.createElement("canvas");
    sheet.width = shown.reduce((sum, canvas) => sum + canvas.width, 0);
    sheet.height = Math.max(...shown.map((canvas) => canvas.height));
    const context = sheet.getContext("2d");
    context.fillRect(0, 0, sheet.width, sheet.height);
    let left = 0;
    for (const canvas of shown) {
      context.drawImage(canvas, left, 0);
      left += canvas.width;
    }
    sheet.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `slice_${this.at.z}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  }

  closeStudy() {
    this.fetcher?.stop();
    this.slices?.clear();
    this.planes?.clear();
    this.layers.forEach((layer) => layer.free());
    this.layers = [];
  }

  /** Release everything: a study takes up to 200 MB in the browser. */
  close() {
    this.closeStudy();
    this.listeners.abort();
    this.sizes.disconnect();
    clearTimeout(this.reporting);
    cancelAnimationFrame(this.frame);
    Object.values(this.panes).forEach((pane) => pane.free());
    this.geometry = this.slices = this.planes = null;
  }
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".viewer");
  let viewer = VIEWERS.get(root);
  if (!viewer) {
    viewer = new Viewer(root);
    VIEWERS.set(root, viewer);
    root.viewer = viewer;
  }
  viewer.update(data, setStateValue);
  return () => {
    VIEWERS.delete(root);
    delete root.viewer;
    viewer.close();
  };
}
