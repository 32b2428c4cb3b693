// Thick slabs: what a pane shows of all slices or planes within some mm, and whole planes.

const PLANES_KEPT = 48;

/** Slabs of the panes; each is combined again only when its place or thickness changes. */
class Slabs {
  constructor(viewer) {
    this.viewer = viewer;
    this.clear();
  }

  clear() {
    this.made = {};
  }

  /** {key, values, whole} of a pane: values is a Uint16Array of its image; null while nothing is there. */
  of(kind) {
    const { mode, mm } = this.viewer.look.slab;
    const { at } = this.viewer;
    const stack = kind === "axial" ? this.slices(at.z, mm) : this.cuts(kind, at, mm);
    if (!stack) return null;
    const key = `${mode} ${stack.name}`;
    if (this.made[kind]?.key !== key) {
      const values = combine(mode, stack.load().map((words) => new Int16Array(words.buffer)));
      this.made[kind] = { key, values: new Uint16Array(values.buffer), whole: stack.whole };
    }
    return this.made[kind];
  }

  slices(z, mm) {
    const { slices, geometry } = this.viewer;
    const wanted = slabIndices(geometry.zMm, z, mm);
    const there = wanted.filter((i) => slices.peek(i));
    if (!there.includes(z)) return null;
    return {
      name: there.join(" "), whole: there.length === wanted.length, load: () => there.map((i) => slices.peek(i)),
    };
  }

  cuts(kind, at, mm) {
    const { geometry, planes } = this.viewer;
    planes.want();
    if (!planes.voxels) return null;
    const [count, step] = kind === "sagittal" ? [geometry.planeX, geometry.stepX] : [geometry.planeY, geometry.stepY];
    const places = Float64Array.from({ length: count }, (_, i) => i * step);
    const indices = slabIndices(places, geometry.planeIndex(kind, at), mm);
    const load = () => indices.map((i) => geometry.cut(kind, planes.voxels, i, Uint16Array));
    return { name: `${indices[0]} ${indices.length}`, whole: true, load };
  }

  /** Slices to either side that the axial slab needs. */
  reach(z) {
    const { look, geometry } = this.viewer;
    if (!look.slab.mode) return 0;
    const indices = slabIndices(geometry.zMm, z, look.slab.mm);
    return Math.max(z - indices[0], indices[indices.length - 1] - z);
  }
}

/** Single planes with every voxel of the study, for measuring. */
class PlaneStore {
  constructor(fetcher, source, { onLoad, onFail }) {
    Object.assign(this, { fetcher, source, onLoad, onFail });
    this.planes = new Map();
  }

  /** Int16Array of a plane, row by row; null until it has arrived. kind: as in its address. */
  peek(kind, index) {
    const name = `${kind}/${index}`;
    if (!this.planes.has(name)) this.load(name);
    return this.planes.get(name);
  }

  async load(name) {
    this.planes.set(name, null);
    try {
      const buffer = await this.fetcher.bytes(`${this.source}/${name}`);
      if (!this.planes.has(name)) return;
      this.planes.set(name, new Int16Array(buffer));
      const arrived = [...this.planes].filter(([, values]) => values).map(([known]) => known);
      arrived.slice(0, -PLANES_KEPT).forEach((old) => this.planes.delete(old));
      this.onLoad();
    } catch (error) {
      if (error.name !== "AbortError") this.onFail(error);
    }
  }

  clear() {
    this.planes.clear();
  }
}
