// Mouse, touch and keys on a pane.

const STILL_PX = 4;
const NOTCH_PX = 50;
const NOTCH_COUNT = 120;
const ZOOM_STEP = 1.25;
/** Slices that a key moves. */
const KEY_STEPS = {
  ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e6, End: 1e6,
};

/** Notches that a wheel was turned, down above 0; 0 for the small steps of a touchpad. */
function turnedNotches({ deltaMode, deltaY, wheelDeltaY = 0 }) {
  const told = Math.abs(wheelDeltaY);
  // A wheel counts 120 a notch whatever the screen's scale; a touchpad reports 3 for each pixel.
  const isWheel = told > 0 && told % NOTCH_COUNT === 0 && told !== 3 * Math.abs(deltaY);
  if (!isWheel && deltaMode === 0 && Math.abs(deltaY) < NOTCH_PX) return 0;
  return Math.sign(deltaY) * Math.max(isWheel ? told / NOTCH_COUNT : 1, 1);
}

class Gestures {
  constructor(viewer, pane, signal) {
    Object.assign(this, { viewer, pane });
    this.pointers = new Map();
    this.wheel = 0;
    const on = (name, act, options = {}) =>
      pane.canvas.addEventListener(name, act, { signal, ...options });
    on("wheel", (event) => this.turned(event), { passive: false });
    on("pointerdown", (event) => this.pressed(event));
    on("pointermove", (event) => this.moved(event));
    on("pointerup", (event) => this.released(event));
    on("pointercancel", (event) => {
      this.pointers.delete(event.pointerId);
      if (this.marks) viewer.drafting.cancel();
      this.marks = false;
    });
    on("pointerleave", () => viewer.hover(null));
    on("focus", () => viewer.activate(pane));
    on("dblclick", () => !viewer.drafting.draws && viewer.look.fill(pane.kind));
    on("contextmenu", (event) => event.preventDefault());
    on("keydown", (event) => this.keyed(event));
  }

  turned(event) {
    event.preventDefault();
    const notches = turnedNotches(event);
    if (event.ctrlKey || event.metaKey) {
      // A wheel's notch is one step of the keys; a touchpad zooms as far as the fingers move.
      const factor = notches ? ZOOM_STEP ** -notches : Math.exp(-event.deltaY / 100);
      this.pane.zoomAt(event.offsetX, event.offsetY, factor);
      this.viewer.redraw();
      return;
    }
    // A wheel's notch is one slice however far the system says it turned; a touchpad adds up.
    const step = notches || this.collected(event.deltaY);
    if (step) this.viewer.scroll(this.pane.kind, step);
  }

  collected(px) {
    this.wheel += px;
    const step = Math.trunc(this.wheel / 12);
    this.wheel -= step * 12;
    return step;
  }

  pressed(event) {
    this.pane.canvas.focus({ preventScroll: true });
    this.pane.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    this.start = { x: event.offsetX, y: event.offsetY };
    this.dragged = false;
    this.pans = event.button === 1 || event.shiftKey || this.viewer.look.tool === "pan";
    this.viewer.cine.stop();
    const { drafting } = this.viewer;
    // A second finger means zooming, so the mark that the first one began is given up.
    if (this.pointers.size > 1 && this.marks) drafting.cancel();
    const draws = this.pointers.size === 1 && event.button === 0 && !event.shiftKey;
    this.marks = draws && drafting.pressed(this.pane, event);
  }

  moved(event) {
    const { offsetX: x, offsetY: y } = event;
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.viewer.hover({ pane: this.pane, x, y });
      this.viewer.drafting.hovered(this.pane, x, y);
      return;
    }
    if (this.pointers.size === 2) this.pinch(event);
    else this.drag(x - before.x, y - before.y, x, y);
    this.pointers.set(event.pointerId, { x, y });
  }

  drag(dx, dy, x, y) {
    if (Math.hypot(x - this.start.x, y - this.start.y) > STILL_PX) this.dragged = true;
    if (!this.dragged) return;
    if (this.marks) {
      this.viewer.drafting.dragged(this.pane, x, y);
      return;
    }
    if (this.pans) {
      this.pane.view.x += dx;
      this.pane.view.y += dy;
      this.viewer.redraw();
      return;
    }
    const { center, width } = this.viewer.look.window;
    const pace = Math.max(width / 400, 0.25);
    this.viewer.look.setWindow(center + dy * pace, Math.max(width + dx * pace, 1));
  }

  /** Two fingers: their distance zooms, their middle pans. */
  pinch(event) {
    this.dragged = true;
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
    const before = this.pointers.get(event.pointerId);
    const now = { x: event.offsetX, y: event.offsetY };
    const distance = (a) => Math.max(Math.hypot(a.x - other.x, a.y - other.y), 1);
    const [middleX, middleY] = [(now.x + other.x) / 2, (now.y + other.y) / 2];
    this.pane.view.x += (now.x - before.x) / 2;
    this.pane.view.y += (now.y - before.y) / 2;
    this.pane.zoomAt(middleX, middleY, distance(now) / distance(before));
    this.viewer.redraw();
  }

  released(event) {
    const known = this.pointers.delete(event.pointerId);
    if (this.marks) {
      this.marks = false;
      this.viewer.drafting.released();
      return;
    }
    if (!known || this.dragged || event.button !== 0) return;
    const voxel = this.pane.voxelAt(event.offsetX, event.offsetY);
    if (voxel) {
      this.viewer.hover({ pane: this.pane, x: event.offsetX, y: event.offsetY });
      this.viewer.click(voxel);
    }
  }

  keyed(event) {
    if (!this.acted(event)) return;
    event.preventDefault();
    // The page has keys of its own.
    event.stopPropagation();
  }

  /** Do what a key means; false where it means nothing. */
  acted(event) {
    const { viewer, pane } = this;
    const { look, cine, drafting } = viewer;
    if (event.altKey) return false;
    const command = commandOf(event);
    if (command?.name !== "cine") cine.stop();
    if (command) {
      command.act(viewer, pane);
      viewer.toolbar.show();
      return true;
    }
    if (event.ctrlKey || event.metaKey) return false;
    if (drafting.keyed(pane, event)) return true;
    const presets = Object.keys(viewer.data.windows);
    const acts = {
      "+": () => this.zoomMiddle(ZOOM_STEP),
      "=": () => this.zoomMiddle(ZOOM_STEP),
      "-": () => this.zoomMiddle(1 / ZOOM_STEP),
      Escape: () => look.reset(pane),
    };
    presets.forEach((name, k) => (acts[k + 1] = () => look.setPreset(name)));
    const step = KEY_STEPS[event.key];
    if (step) viewer.scroll(pane.kind, step);
    else acts[event.key]?.();
    return Boolean(step || acts[event.key]);
  }

  zoomMiddle(factor) {
    this.pane.zoomAt(this.pane.canvas.clientWidth / 2, this.pane.canvas.clientHeight / 2, factor);
    this.viewer.redraw();
  }
}
