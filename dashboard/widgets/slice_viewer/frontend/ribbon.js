// Scores of each slice, drawn upright next to the axial pane; a click jumps to the slice.

const RIBBON_TOP = 28;
const RIBBON_FOOT = 6;
const RIBBON_NUMBERS = 30;

class RibbonStrip {
  constructor(viewer, canvas, signal) {
    Object.assign(this, { viewer, canvas });
    this.context = canvas.getContext("2d");
    const jump = (event) => {
      if (event.buttons & 1) this.viewer.goTo(this.sliceAt(event.offsetY));
    };
    canvas.addEventListener("pointerdown", jump, { signal });
    canvas.addEventListener("pointermove", jump, { signal });
    canvas.addEventListener("keydown", (event) => this.keyed(event), { signal });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.viewer.scroll("axial", Math.sign(event.deltaY));
    }, { signal, passive: false });
  }

  get data() {
    return this.viewer.data.ribbon;
  }

  /** Height of all slices together, below the head with the names of the axes. */
  get trackHeight() {
    return this.canvas.clientHeight - RIBBON_TOP - RIBBON_FOOT;
  }

  sliceAt(y) {
    const { slices } = this.viewer.geometry;
    const place = Math.floor(((y - RIBBON_TOP) / this.trackHeight) * slices);
    return Math.min(Math.max(place, 0), slices - 1);
  }

  keyed(event) {
    const step = KEY_STEPS[event.key];
    if (!step) return;
    this.viewer.scroll("axial", step);
    event.preventDefault();
  }

  /** In words, for a screen reader and for the tooltip. */
  words(index) {
    const { probs, presence, names } = this.data;
    const seen = presence
      ? names.filter((_, j) => presence[j][index] >= 0.5).join(" and ")
      : "";
    const prob = probs[index] === null ? "no probability" : `fracture ${probs[index].toFixed(3)}`;
    return `Slice ${index}: ${prob}${seen ? `, shows ${seen}` : ""}`;
  }

  draw() {
    if (!this.data || !this.canvas.clientWidth) return;
    const { canvas, context, viewer } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const step = this.trackHeight / viewer.geometry.slices;
    const lanes = this.data.presence ? 20 : 0;
    const [left, right] = [lanes + 6, width - RIBBON_NUMBERS];
    this.drawAxes(step, left, right, width);
    context.save();
    context.translate(0, RIBBON_TOP);
    if (lanes) this.drawPresence(step, lanes);
    this.drawProbs(step, left, right - left);
    const y = (viewer.at.z + 0.5) * step;
    context.fillStyle = viewer.data.current;
    context.fillRect(0, y - 1, width, 2);
    context.restore();
  }

  /** Names of both axes, 0 to 1 across and slice numbers downwards. */
  drawAxes(step, left, right, width) {
    const { context } = this;
    const bottom = RIBBON_TOP + this.trackHeight;
    context.fillStyle = context.strokeStyle = getComputedStyle(this.canvas).color;
    context.font = "500 10px system-ui, sans-serif";
    const label = (text, x, y, align) => {
      context.textAlign = align;
      context.fillText(text, x, y);
    };
    label("fracture", left, 11, "left");
    label("slice", width - 3, 11, "right");
    label("0", left, 23, "center");
    label("½", (left + right) / 2, 23, "center");
    label("1", right, 23, "center");
    context.globalAlpha = 0.25;
    context.lineWidth = 1;
    for (const x of [left, (left + right) / 2, right]) {
      context.stroke(new Path2D(`M${Math.round(x) + 0.5} ${RIBBON_TOP} V${bottom}`));
    }
    context.globalAlpha = 1;
    const apart = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((k) => k * step >= 44) ?? 1000;
    for (let index = 0; index < this.viewer.geometry.slices; index += apart) {
      label(String(index), width - 3, RIBBON_TOP + (index + 0.5) * step + 3.5, "right");
    }
  }

  drawPresence(step, lanes) {
    const { presence, names, colors } = this.data;
    const { context } = this;
    presence.forEach((values, j) => {
      const x = (j % 2) * (lanes / 2);
      context.fillStyle = colors[j];
      let first = -1;
      let last = -1;
      values.forEach((value, i) => {
        if (value < 0.05) return;
        context.globalAlpha = value;
        context.fillRect(x, i * step, lanes / 2 - 1, step + 0.5);
        if (value >= 0.5) {
          if (first < 0) first = i;
          last = i;
        }
      });
      context.globalAlpha = 1;
      if (first >= 0 && (last - first) * step > 12) {
        context.save();
        context.translate(x + lanes / 4, ((first + last + 1) / 2) * step);
        context.rotate(-Math.PI / 2);
        context.font = "700 8.5px system-ui, sans-serif";
        context.textAlign = "center";
        context.fillStyle = "#fff";
        context.fillText(names[j], 0, 3);
        context.restore();
      }
    });
  }

  drawProbs(step, left, width) {
    const { probs, suspicion, threshold } = this.data;
    const { context } = this;
    context.fillStyle = suspicion;
    probs.forEach((prob, i) => {
      if (prob !== null) context.fillRect(left, i * step, Math.max(prob * width, 0.5), step + 0.3);
    });
    if (threshold !== null && threshold !== undefined) {
      context.strokeStyle = getComputedStyle(this.canvas).color;
      context.setLineDash([3, 3]);
      context.lineWidth = 1;
      context.stroke(new Path2D(`M${left + threshold * width} 0 V${this.trackHeight}`));
      context.setLineDash([]);
    }
  }
}
