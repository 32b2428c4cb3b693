// Where things are: voxels (z, y, x) of the study, pixels (u, v) of a pane, millimetres.

class Geometry {
  constructor(data) {
    [this.slices, this.rows, this.columns] = data.shape;
    [this.dz, this.dy, this.dx] = data.spacing;
    [this.planeZ, this.planeY, this.planeX] = data.planes.shape;
    [this.stepZ, this.stepY, this.stepX] = data.planes.spacing;
    this.top = data.planes.top;
    this.zMm = data.zMm;
    this.affine = data.affine;
    this.letters = data.letters;
    this.body = data.body;
  }

  /** Part of a pane's image to fit into the pane: [left, top, right, bottom] in its pixels. */
  fitted(kind) {
    const [left, top, right, bottom] = this.body;
    if (kind === "axial") return this.body;
    const [from, to] = kind === "sagittal" ? [top, bottom] : [left, right];
    const place = (edge) => this.columnAt(kind, edge) + 0.5;
    return [place(from), 0, place(to), this.planeZ];
  }

  /** The voxel in the middle of the body, of the first slice. */
  middle() {
    const [left, top, right, bottom] = this.body;
    return { z: 0, y: Math.floor((top + bottom) / 2), x: Math.floor((left + right) / 2) };
  }

  /** Size of a pane's image in pixels and of one pixel in mm. */
  image(kind) {
    if (kind === "axial") {
      return { width: this.columns, height: this.rows, mmX: this.dx, mmY: this.dy };
    }
    const [width, mmX] =
      kind === "sagittal" ? [this.planeY, this.stepY] : [this.planeX, this.stepX];
    return { width, height: this.planeZ, mmX, mmY: this.stepZ };
  }

  /** Direction letters at the left, right, upper and lower edge of a pane. */
  edges(kind) {
    const { left, right, upper, lower } = this.letters;
    if (kind === "axial") return [left, right, upper, lower];
    return kind === "sagittal" ? [upper, lower, "H", "F"] : [left, right, "H", "F"];
  }

  /** Pixel (u, v) of a pane where a voxel lies; centres of pixels are whole numbers. */
  toPane(kind, { z, y, x }) {
    if (kind === "axial") return { u: x, v: y };
    const v = (this.top - this.zMm[z]) / this.stepZ - 0.5;
    return kind === "sagittal"
      ? { u: ((y + 0.5) * this.dy) / this.stepY - 0.5, v }
      : { u: ((x + 0.5) * this.dx) / this.stepX - 0.5, v };
  }

  /** The voxel at pixel (u, v) of a pane through `at`; null outside the study. */
  fromPane(kind, u, v, at) {
    let voxel;
    if (kind === "axial") voxel = { z: at.z, y: Math.round(v), x: Math.round(u) };
    else {
      const across = (u + 0.5) * (kind === "sagittal" ? this.stepY / this.dy : this.stepX / this.dx);
      const z = this.sliceAt(this.top - (v + 0.5) * this.stepZ);
      voxel =
        kind === "sagittal"
          ? { z, y: Math.round(across - 0.5), x: at.x }
          : { z, y: at.y, x: Math.round(across - 0.5) };
      if (v < -0.5 || v > this.planeZ - 0.5) return null;
    }
    const inside =
      voxel.y >= 0 && voxel.y < this.rows && voxel.x >= 0 && voxel.x < this.columns;
    return inside ? voxel : null;
  }

  /** Height in mm of a place between slices, beyond them by the outermost distance. */
  heightOf(z) {
    const { zMm, slices, dz } = this;
    if (slices === 1) return zMm[0] - z * dz;
    const low = Math.min(Math.max(Math.floor(z), 0), slices - 2);
    return zMm[low] + (zMm[low + 1] - zMm[low]) * (z - low);
  }

  /** Place between slices at a height, the inverse of `heightOf`. */
  betweenSlices(mm) {
    const { zMm, slices, dz } = this;
    if (slices === 1) return (zMm[0] - mm) / dz;
    const near = this.sliceAt(mm);
    const low = Math.min(Math.max(zMm[near] >= mm ? near : near - 1, 0), slices - 2);
    return low + (mm - zMm[low]) / (zMm[low + 1] - zMm[low]);
  }

  /** Where a voxel [z, y, x] lies on a pane's plane: [across, down] in mm from its upper left edge. */
  toMm(kind, [z, y, x]) {
    if (kind === "axial") return [(x + 0.5) * this.dx, (y + 0.5) * this.dy];
    const across = kind === "sagittal" ? (y + 0.5) * this.dy : (x + 0.5) * this.dx;
    return [across, this.top - this.heightOf(z)];
  }

  /** The voxel [z, y, x], between centres too, at a place in mm on the plane through `at`. */
  fromMm(kind, [across, down], at) {
    if (kind === "axial") return [at.z, down / this.dy - 0.5, across / this.dx - 0.5];
    const z = this.betweenSlices(this.top - down);
    return kind === "sagittal"
      ? [z, across / this.dy - 0.5, at.x]
      : [z, at.y, across / this.dx - 0.5];
  }

  /** Centres of the columns and rows of a plane's voxels in mm, both rising. */
  centres(kind) {
    this.known ??= {};
    const evenly = (count, mm) => Float64Array.from({ length: count }, (_, i) => (i + 0.5) * mm);
    this.known[kind] ??= {
      columnMm: kind === "sagittal" ? evenly(this.rows, this.dy) : evenly(this.columns, this.dx),
      rowMm: kind === "axial" ? evenly(this.rows, this.dy) : Float64Array.from(this.zMm, (mm) => this.top - mm),
    };
    return this.known[kind];
  }

  /** Distance in mm of a place along a pane's axis from the plane on show. */
  depthMm(kind, place, at) {
    if (kind === "axial") return Math.abs(this.heightOf(place) - this.zMm[at.z]);
    return kind === "sagittal" ? Math.abs(place - at.x) * this.dx : Math.abs(place - at.y) * this.dy;
  }

  /** Upper and lower face of a slice in mm: half-way to its neighbours. */
  faces(z) {
    const { zMm } = this;
    const half = (from, to) => (zMm[from] - zMm[to]) / 2;
    const last = this.slices - 1;
    const above = z > 0 ? half(z - 1, z) : last ? half(0, 1) : this.dz / 2;
    const below = z < last ? half(z, z + 1) : last ? half(last - 1, last) : this.dz / 2;
    return [zMm[z] + above, zMm[z] - below];
  }

  /** Row of a plane at a height in mm, the centre of the first row being 0. */
  rowAt(mm) {
    return (this.top - mm) / this.stepZ - 0.5;
  }

  /** Column of a plane at an edge between pixels of the slices, 0 the first pixel's outer edge. */
  columnAt(kind, edge) {
    const [own, step] = kind === "sagittal" ? [this.dy, this.stepY] : [this.dx, this.stepX];
    return (edge * own) / step - 0.5;
  }

  /** Index of the slice nearest to a height; heights decrease with the index. */
  sliceAt(mm) {
    let low = 0;
    let high = this.slices - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.zMm[middle] >= mm) low = middle;
      else high = middle;
    }
    return Math.abs(this.zMm[low] - mm) <= Math.abs(this.zMm[high] - mm) ? low : high;
  }

  /** Index into the reduced volume along x for the sagittal and y for the coronal plane. */
  planeIndex(kind, at) {
    const [place, count] =
      kind === "sagittal"
        ? [((at.x + 0.5) * this.dx) / this.stepX, this.planeX]
        : [((at.y + 0.5) * this.dy) / this.stepY, this.planeY];
    return Math.min(Math.max(Math.floor(place), 0), count - 1);
  }

  /** Voxels along the axis that the wheel moves in a pane: x sagittal, y coronal, z axial. */
  depth(kind) {
    return kind === "axial" ? this.slices : kind === "sagittal" ? this.columns : this.rows;
  }

  /** DICOM LPS mm of a voxel. */
  lps({ z, y, x }) {
    return this.affine.slice(0, 3).map((row) => row[0] * z + row[1] * y + row[2] * x + row[3]);
  }

  /** Cut one plane out of a reduced volume. */
  cut(kind, voxels, index, Words) {
    const { planeZ, planeY, planeX } = this;
    if (kind === "axial") return voxels.subarray(index * planeY * planeX, (index + 1) * planeY * planeX);
    const width = kind === "sagittal" ? planeY : planeX;
    const out = new Words(planeZ * width);
    for (let z = 0; z < planeZ; z++) {
      const start = z * planeY * planeX;
      if (kind === "coronal") {
        out.set(voxels.subarray(start + index * planeX, start + (index + 1) * planeX), z * width);
      } else {
        for (let y = 0; y < planeY; y++) out[z * width + y] = voxels[start + y * planeX + index];
      }
    }
    return out;
  }
}
