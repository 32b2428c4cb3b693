// The viewer: joins panes, ribbon and toolbar, and talks to Python.

const REPORT_MS = 140;
const PREFETCH = 24;
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
    this.book = new MarkBook(this);
    this.drafting = new Drafting(this);
    this.cine = new Cine(this);
    this.slabs = new Slabs(this);
    this.markList = new MarkList(this, root, signal);
    this.help = new Help(root, signal);
    this.toolbar = new Toolbar(this, root, signal);
    this.active = this.panes.axial;
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
    this.takeMarks();
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
    this.wholePlanes = new PlaneStore(this.fetcher, data.source, {
      ...events, onLoad: () => this.marksChanged(),
    });
    this.hovered = null;
    this.at = this.geometry.middle();
    this.look = new Look(this, data);
    Object.values(this.panes).forEach((pane) => pane.reset());
  }

  takeMarks() {
    this.book.take(this.data.marks);
    if (this.data.marks.problem) this.say(this.data.marks.problem);
    this.markList.show();
  }

  /** Show marks that have changed or been chosen. */
  marksChanged() {
    this.markList.show();
    this.toolbar.show();
    this.redraw();
  }

  /** Int16Array of one plane of the study, row by row; null until it has arrived. */
  planeValues(kind, index) {
    if (kind !== "axial") return this.wholePlanes.peek(kind, index);
    const words = this.slices.peek(index);
    return words ? new Int16Array(words.buffer) : this.wholePlanes.peek("slice", index);
  }

  /** The pane that keys and tools are about. */
  activate(pane) {
    this.active = pane;
    this.toolbar.show();
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
    const near = Math.abs(index - this.at.z) <= this.slabs.reach(this.at.z);
    if (index === undefined || near) this.redraw();
  }

  fail(error) {
    this.say(`The pixels could not be loaded: ${error.message} Reload the page to try again.`);
  }

  say(text) {
    this.root.querySelector(".status").textContent = text;
  }

  /** Pixels per mm in every pane on show, so that they can be compared. */
  get fit() {
    return Math.min(...Object.values(this.panes).filter((pane) => pane.visible).map((pane) => pane.fit));
  }

  scroll(kind, step) {
    const last = this.geometry.depth(kind) - 1;
    const place = Math.min(Math.max(this.at[AXES[ALONG[kind]]] + step, 0), last);
    this.turn(kind, place);
    if (kind === "axial") this.report();
  }

  /** Show the next slice or plane, after the last one the first, without telling Python. */
  advance(kind) {
    this.turn(kind, (this.at[AXES[ALONG[kind]]] + 1) % this.geometry.depth(kind));
  }

  turn(kind, place) {
    if (kind === "axial") return this.show(place);
    this.at = { ...this.at, [AXES[ALONG[kind]]]: place };
    return this.redraw();
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
    this.slices.want(this.at.z, this.direction, PREFETCH, this.slabs.reach(this.at.z));
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
    if (this.look.magnifies) this.redraw();
  }

  /** Show HU and position under the pointer, on the slice that is on show by now. */
  readOut() {
    const readout = this.root.querySelector(".readout");
    const voxel = this.hovered?.pane.voxelAt(this.hovered.x, this.hovered.y);
    if (!voxel) {
      readout.textContent = "Point at the picture to read HU and position.";
      return;
    }
    const mm = this.geometry.lps(voxel).map((v) => minus(v.toFixed(1))).join(", ");
    readout.textContent = `${this.levelAt(voxel)} HU · LPS ${mm} mm · x ${voxel.x}, y ${voxel.y}, slice ${voxel.z}`;
  }

  /** The HU under the pointer: of the slab where one is shown, else of the voxel. */
  levelAt(voxel) {
    const { pane, x, y } = this.hovered;
    const { width } = this.geometry.image(pane.kind);
    const { u, v } = pane.pixelAt(x, y);
    const slab = this.look.slab.mode ? this.slabs.of(pane.kind) : null;
    const values = slab ? slab.values : this.slices.peek(voxel.z);
    if (!values) return "…";
    const place = slab ? Math.round(v) * width + Math.round(u) : voxel.y * this.geometry.columns + voxel.x;
    const level = minus(String((values[place] << 16) >> 16));
    return slab ? `${SLABS[this.look.slab.mode]} ${level}` : level;
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

  closeStudy() {
    this.fetcher?.stop();
    this.slices?.clear();
    this.planes?.clear();
    this.wholePlanes?.clear();
    this.slabs.clear();
    this.cine.stop();
    this.book.clear();
    this.drafting.cancel();
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
