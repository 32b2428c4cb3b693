// Rewrites the parts of the page that depend on nothing but a threshold while it is moved.

const MOUNTED = new WeakMap();

class Parts {
  constructor() {
    this.listeners = new AbortController();
    followThresholds((name, value) => this.draw(name, value), this.listeners.signal);
  }

  update(data) {
    this.data = data;
    // The page may be drawn at an older threshold than the hand's, after this call.
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => AHEAD.forEach((value, name) => this.draw(name, value)));
  }

  draw(name, value) {
    for (const part of this.data.parts) if (part.follows === name) this.write(part, value);
    for (const one of document.querySelectorAll(`[data-live="at:${name}"]`)) setText(one, fixed(value, 3));
    for (const one of document.querySelectorAll(`[data-live="tick:${name}"]`)) {
      one.style.left = `${fixed(100 * value, 1)}%`;
    }
  }

  write(part, value) {
    const { steps } = this.data;
    const place = Math.round(value * steps);
    for (const one of document.querySelectorAll(part.selector)) {
      // Texts are known at the positions of the slider; Python counts between two of them.
      if (part.texts) { if (place / steps === value) setText(one, part.texts[place]); continue; }
      const reached = String(part.score >= value);
      if (one.dataset.reached === reached) continue;
      one.innerHTML = reached === "true" ? part.reached : part.below;
      one.dataset.reached = reached;
    }
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.listeners.abort();
  }
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".parts");
  let parts = MOUNTED.get(root);
  if (!parts) {
    parts = new Parts();
    MOUNTED.set(root, parts);
  }
  parts.update(data);
  return () => {
    parts.close();
    MOUNTED.delete(root);
  };
}
