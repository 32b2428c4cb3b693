// How the panes look: window, slab, turned or not; kept while other studies and pages are shown.

const KEPT = new Map();
const SLAB_MM = { least: 1, most: 40, first: 10, step: 5 };

class Look {
  constructor(viewer, data) {
    this.viewer = viewer;
    this.key = data.key;
    this.windows = data.windows;
    const [preset, [center, width]] = Object.entries(data.windows)[0];
    const first = {
      paneCount: data.panes, tool: "window", smooth: true, inverted: false, magnifies: false,
      showsMarks: true, filled: null, slab: { mode: "", mm: SLAB_MM.first }, flips: {},
      window: { preset, center, width, serial: 0, table: greyTable(center, width, false) },
    };
    Object.assign(this, first, KEPT.get(data.key));
  }

  /** Change settings by name, and show them. */
  set(changes) {
    Object.assign(this, changes);
    const { viewer, paneCount, tool, smooth, inverted, showsMarks, slab, window } = this;
    // Another patient is never opened mirrored.
    KEPT.set(this.key, { paneCount, tool, smooth, inverted, showsMarks, slab, window });
    viewer.toolbar.show();
    viewer.fetchAround();
    viewer.redraw();
  }

  setWindow(center, width, preset = "custom", inverted = this.inverted) {
    const serial = this.window.serial + 1;
    const table = greyTable(center, width, inverted);
    this.set({ inverted, window: { preset, center, width, serial, table } });
  }

  setPreset(name) {
    this.setWindow(...this.windows[name], name);
  }

  invert() {
    const { center, width, preset } = this.window;
    this.setWindow(center, width, preset, !this.inverted);
  }

  setTool(tool) {
    this.viewer.drafting.cancel();
    this.set({ tool });
  }

  /** Mirror a pane's picture; axis: "across" or "down". */
  flip(kind, axis) {
    const flip = this.flipOf(kind);
    this.set({ flips: { ...this.flips, [kind]: { ...flip, [axis]: !flip[axis] } } });
  }

  flipOf(kind) {
    return this.flips[kind] ?? { across: false, down: false };
  }

  /** Let one pane fill the viewer, or show all again. */
  fill(kind) {
    this.set({ filled: this.filled ? null : kind });
  }

  setSlab(mode, mm = this.slab.mm) {
    if (!Number.isFinite(mm)) return this.set({});
    const { least, most } = SLAB_MM;
    return this.set({ slab: { mode, mm: Math.min(Math.max(mm, least), most) } });
  }

  nextSlab() {
    const modes = ["", ...Object.keys(SLABS)];
    this.setSlab(modes[(modes.indexOf(this.slab.mode) + 1) % modes.length]);
  }

  thicken(mm) {
    this.setSlab(this.slab.mode || "mip", this.slab.mm + mm);
  }

  /** Back to the whole picture; without a pane, all of them and everything as at first. */
  reset(pane) {
    const panes = pane ? [pane] : Object.values(this.viewer.panes);
    panes.forEach((one) => one.reset());
    const flips = { ...this.flips };
    panes.forEach(({ kind }) => delete flips[kind]);
    this.set(pane ? { flips } : { flips, magnifies: false, filled: null, slab: { ...this.slab, mode: "" } });
    const [name] = Object.keys(this.windows);
    const preset = this.window.preset === "custom" || !pane ? name : this.window.preset;
    this.setWindow(...this.windows[preset], preset, pane ? this.inverted : false);
  }
}
