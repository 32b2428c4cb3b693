// Lengths, angles and grey values on one plane. Every place is [across, down] in mm, so that pixels
// need not be square and slices need not be evenly spaced.

const SLABS = { mip: "MIP", minip: "MinIP", mean: "Mean" };

function lengthMm([from, to]) {
  return Math.hypot(to[0] - from[0], to[1] - from[1]);
}

/** Angle at the middle one of three points, 0 to 180 degrees. */
function angleDeg([one, vertex, other]) {
  const [ax, ay] = [one[0] - vertex[0], one[1] - vertex[1]];
  const [bx, by] = [other[0] - vertex[0], other[1] - vertex[1]];
  return (Math.abs(Math.atan2(ax * by - ay * bx, ax * bx + ay * by)) * 180) / Math.PI;
}

/** Angle between two lines of two points each, 0 to 90 degrees: end plates have no direction. */
function cobbDeg([a, b, c, d]) {
  const angle = angleDeg([b, a, [a[0] + d[0] - c[0], a[1] + d[1] - c[1]]]);
  return Math.min(angle, 180 - angle);
}

/** Left, top, right, bottom of two opposite corners. */
function cornersOf([one, other]) {
  return [
    Math.min(one[0], other[0]), Math.min(one[1], other[1]),
    Math.max(one[0], other[0]), Math.max(one[1], other[1]),
  ];
}

function areaMm2(kind, points) {
  const [left, top, right, bottom] = cornersOf(points);
  return (right - left) * (bottom - top) * (kind === "ellipse" ? Math.PI / 4 : 1);
}

/** Indices of the first and last of rising places within [from, to]; an empty range if none is. */
function rangeWithin(places, from, to) {
  let first = 0;
  while (first < places.length && places[first] < from) first++;
  let last = places.length - 1;
  while (last >= first && places[last] > to) last--;
  return [first, last];
}

/**
 * Statistics of the voxels whose centres lie in a rectangle or in the ellipse inside it.
 *
 * values: Int16Array, row by row; columnMm, rowMm: where the centres of columns and rows lie.
 * sd is that of the voxels themselves, as numpy's. Null where no centre is inside.
 */
function regionStats(kind, points, values, columnMm, rowMm) {
  const [left, top, right, bottom] = cornersOf(points);
  const [firstRow, lastRow] = rangeWithin(rowMm, top, bottom);
  const [middleX, middleY] = [(left + right) / 2, (top + bottom) / 2];
  let [count, sum, squares, min, max] = [0, 0, 0, Infinity, -Infinity];
  for (let row = firstRow; row <= lastRow; row++) {
    let half = (right - left) / 2;
    if (kind === "ellipse") {
      const down = (rowMm[row] - middleY) / ((bottom - top) / 2);
      half *= Math.sqrt(Math.max(1 - down * down, 0));
    }
    const [first, last] = rangeWithin(columnMm, middleX - half, middleX + half);
    for (let i = row * columnMm.length + first; i <= row * columnMm.length + last; i++) {
      const value = values[i];
      count += 1;
      sum += value;
      squares += value * value;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  if (!count) return null;
  const mean = sum / count;
  // Whole numbers up to 2^53 are exact, so that little is lost by subtracting.
  return { count, mean, sd: Math.sqrt(Math.max(squares / count - mean * mean, 0)), min, max };
}

/** Combine equally large Int16Arrays voxel by voxel; mode: a key of SLABS. */
function combine(mode, stack) {
  const out = Int16Array.from(stack[0]);
  if (mode === "mean") return meanOf(stack, out);
  for (const values of stack.slice(1)) {
    if (mode === "mip") {
      for (let i = 0; i < out.length; i++) if (values[i] > out[i]) out[i] = values[i];
    } else {
      for (let i = 0; i < out.length; i++) if (values[i] < out[i]) out[i] = values[i];
    }
  }
  return out;
}

function meanOf(stack, out) {
  const sums = Int32Array.from(out);
  for (const values of stack.slice(1)) {
    for (let i = 0; i < sums.length; i++) sums[i] += values[i];
  }
  for (let i = 0; i < out.length; i++) out[i] = roundHalfEven(sums[i] / stack.length);
  return out;
}

/** Indices of the places within half of `mm` of place number `middle`. */
function slabIndices(places, middle, mm) {
  const near = (place) => Math.abs(place - places[middle]) <= mm / 2 + 1e-6;
  return [...places.keys()].filter((i) => near(places[i]));
}
