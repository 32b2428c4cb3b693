// What the networks say of each slice, drawn upright beside the axial pane; a click jumps there.

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

  sliceAt(y) {
    const { slices } = this.viewer.geometry;
    const place = Math.floor((y / this.canvas.clientHeight) * slices);
    return Math.min(Math.max(place, 0), slices - 1);
  }

  keyed(event) {
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -1e6, End: 1e6 };
    if (!(event.key in step)) return;
    this.viewer.scroll("axial", step[event.key]);
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
    const step = height / viewer.geometry.slices;
    const lanes = this.data.presence ? 20 : 0;
    if (lanes) this.drawPresence(step, lanes);
    this.drawProbs(step, lanes + 4, width - lanes - 8);
    const y = (viewer.at.z + 0.5) * step;
    context.fillStyle = viewer.data.current;
    context.fillRect(0, y - 1, width, 2);
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
      context.stroke(new Path2D(`M${left + threshold * width} 0 V${this.canvas.clientHeight}`));
      context.setLineDash([]);
    }
  }
}
