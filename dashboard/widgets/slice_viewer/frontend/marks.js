// What the user has marked on a study, with undo; Python keeps it.

/** Points of each kind of mark; `text` where it carries a text instead of a value. */
const MARKS = {
  length: { points: 2 },
  angle: { points: 3 },
  cobb: { points: 4 },
  ellipse: { points: 2, region: true },
  rectangle: { points: 2, region: true },
  probe: { points: 1 },
  arrow: { points: 2, text: true },
  box: { points: 2, text: true },
};
/** Axis of a voxel [z, y, x] that a pane looks along. */
const ALONG = { axial: 0, sagittal: 2, coronal: 1 };
const AXES = ["z", "y", "x"];
const UNDO_STEPS = 200;

class MarkBook {
  constructor(viewer) {
    this.viewer = viewer;
    this.serial = 0;
    this.clear();
  }

  /** Forget the marks of a study that is not shown any more. */
  clear() {
    this.marks = new Map();
    this.waiting = [];
    this.done = [];
    this.undone = [];
    this.selected = null;
    this.figures = new WeakMap();
  }

  /** Take the marks that Python knows; changes that it has not seen yet stay. */
  take({ marks, seen }) {
    this.serial = Math.max(this.serial, seen);
    this.waiting = this.waiting.filter(({ serial }) => serial > seen);
    const before = this.marks;
    this.marks = new Map();
    for (const mark of marks) {
      const known = before.get(mark.id);
      // The same object keeps the figures that were computed for it.
      const same = known && JSON.stringify(known) === JSON.stringify(mark);
      this.marks.set(mark.id, same ? known : mark);
    }
    this.waiting.forEach((change) => this.apply(change));
    if (!this.marks.has(this.selected)) this.selected = null;
  }

  apply({ id, mark }) {
    if (mark) this.marks.set(id, mark);
    else this.marks.delete(id);
  }

  /** Make changes [{id, mark}], mark null to delete, as one step of undo. */
  change(changes) {
    const step = changes.map(({ id, mark, before }) => ({
      id, before: before ?? this.marks.get(id) ?? null, after: mark,
    }));
    this.done.push(step);
    if (this.done.length > UNDO_STEPS) this.done.shift();
    this.undone = [];
    this.report(changes);
  }

  undo() {
    const step = this.done.pop();
    if (!step) return;
    this.undone.push(step);
    this.report(step.map(({ id, before }) => ({ id, mark: before })));
  }

  redo() {
    const step = this.undone.pop();
    if (!step) return;
    this.done.push(step);
    this.report(step.map(({ id, after }) => ({ id, mark: after })));
  }

  report(changes) {
    for (const { id, mark } of changes) {
      this.apply({ id, mark });
      this.waiting.push({ serial: ++this.serial, id, mark });
    }
    if (!this.marks.has(this.selected)) this.selected = null;
    const { viewer } = this;
    viewer.setStateValue("marks", { study: viewer.data.source, changes: this.waiting });
    viewer.marksChanged();
  }

  add(mark) {
    const id = crypto.getRandomValues(new Uint32Array(4)).reduce((text, word) => text + word.toString(36), "m");
    this.change([{ id, mark: { id, text: "", ...mark } }]);
    this.selected = id;
    return id;
  }

  remove(ids) {
    const known = ids.filter((id) => this.marks.has(id));
    if (known.length) this.change(known.map((id) => ({ id, mark: null })));
  }

  /** Marks on the plane that a pane shows, or within its slab. */
  on(kind) {
    const { geometry, at, look } = this.viewer;
    const along = ALONG[kind];
    const shown = look.slab.mode
      ? (place) => geometry.depthMm(kind, place, at) <= look.slab.mm / 2
      : (place) => Math.round(place) === at[AXES[along]];
    return [...this.marks.values()].filter((m) => m.plane === kind && shown(m.points[0][along]));
  }

  /** Go to a mark's plane and select it. */
  goTo(id) {
    const mark = this.marks.get(id);
    if (!mark) return;
    const { viewer } = this;
    this.selected = id;
    const along = ALONG[mark.plane];
    const place = { ...viewer.at, [AXES[along]]: Math.round(mark.points[0][along]) };
    if (viewer.look.paneCount < { axial: 1, sagittal: 2, coronal: 3 }[mark.plane]) viewer.look.set({ paneCount: 3 });
    viewer.click(place);
    viewer.marksChanged();
  }

  /** Select the next mark, or the one before, and go to it. */
  step(by) {
    const ids = [...this.marks.keys()];
    if (!ids.length) return;
    const from = ids.indexOf(this.selected);
    this.goTo(ids[(from < 0 && by < 0 ? 0 : from + by + ids.length) % ids.length]);
  }

  /** What a mark measures: {value: one line, details: further lines}; values still to come are "…". */
  figure(mark) {
    const { kind, plane, points, text } = mark;
    if (MARKS[kind].text) return { value: text, details: [] };
    const places = points.map((point) => this.viewer.geometry.toMm(plane, point));
    if (kind === "length") return { value: `${lengthMm(places).toFixed(1)} mm`, details: [] };
    if (kind === "angle") return { value: `${angleDeg(places).toFixed(1)}°`, details: [] };
    if (kind === "cobb") return { value: `Cobb ${cobbDeg(places).toFixed(1)}°`, details: [] };
    return this.measured(mark, places);
  }

  /** The figure of what is measured in HU; computed once, when the plane's voxels are there. */
  measured(mark, places) {
    const { kind, plane, points } = mark;
    const known = this.figures.get(mark);
    if (known) return known;
    const area = MARKS[kind].region ? [`${(areaMm2(kind, places) / 100).toFixed(2)} cm²`] : [];
    const values = this.viewer.planeValues(plane, Math.round(points[0][ALONG[plane]]));
    if (!values) return { value: "… HU", details: area };
    const figure = MARKS[kind].region ? this.region(mark, places, values, area) : this.probed(mark, values);
    this.figures.set(mark, figure);
    return figure;
  }

  probed({ plane, points: [point] }, values) {
    const { columns, rows, slices } = this.viewer.geometry;
    const [z, y, x] = point.map((place, k) => Math.min(Math.max(Math.round(place), 0), [slices, rows, columns][k] - 1));
    const place = { axial: y * columns + x, sagittal: z * rows + y, coronal: z * columns + x }[plane];
    return { value: `${minus(String(values[place]))} HU`, details: [] };
  }

  region({ kind, plane }, places, values, area) {
    const { columnMm, rowMm } = this.viewer.geometry.centres(plane);
    const stats = regionStats(kind, places, values, columnMm, rowMm);
    if (!stats) return { value: "no voxel", details: area };
    const value = `${minus(stats.mean.toFixed(1))} ± ${stats.sd.toFixed(1)} HU`;
    return { value, details: [`${minus(String(stats.min))} to ${minus(String(stats.max))} HU`, ...area] };
  }
}
