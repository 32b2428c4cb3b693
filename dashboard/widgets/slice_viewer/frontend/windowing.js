// From Hounsfield units to screen colours, by a table over all 65,536 int16 values.

/** Round as numpy's rint does, halves to the even neighbour. */
function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** Opaque greys as RGBA words, indexed by an int16 HU read as uint16 (DICOM LINEAR_EXACT). */
function greyTable(center, width, inverted) {
  const table = new Uint32Array(65536);
  const lower = center - width / 2;
  for (let hu = -32768; hu < 32768; hu++) {
    const level = Math.min(Math.max((hu - lower) / width, 0), 1) * 255;
    const grey = inverted ? 255 - roundHalfEven(level) : roundHalfEven(level);
    table[hu & 0xffff] = (255 << 24) | (grey << 16) | (grey << 8) | grey;
  }
  return table;
}

/** "#RRGGBB" as an RGBA word of the given alpha, 0..255. */
function colorWord(hex, alpha) {
  const rgb = parseInt(hex.slice(1), 16);
  return ((alpha << 24) | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
}

/** Heat colours by value 0..255, between stops from low to high; what is low lets the picture through. */
function heatTable(stops) {
  const table = new Uint32Array(256);
  const parts = stops.map((hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));
  for (let value = 0; value < 256; value++) {
    const place = (value / 255) * (parts.length - 1);
    const stop = Math.min(Math.floor(place), parts.length - 2);
    const [red, green, blue] = parts[stop].map((from, k) =>
      Math.round(from + (parts[stop + 1][k] - from) * (place - stop)),
    );
    const alpha = Math.round(Math.min(Math.max(value - 25, 0) / 130, 1) * 255);
    table[value] = (alpha << 24) | (blue << 16) | (green << 8) | red;
  }
  return table;
}
