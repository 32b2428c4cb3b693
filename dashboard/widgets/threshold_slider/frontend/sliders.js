// Range inputs with a typed value beside each. What they set follows the hand; Python learns of it
// when the hand lets go.

const KEYS_REST_MS = 350;

class Sliders {
  constructor(root) {
    this.root = root;
    this.sent = this.answered = 0;
  }

  /** Take values from Python; called at the first drawing and at every rerun.
   *
   * `drawn(values, ahead)` is called in every frame in which a value changes, and here;
   * `released(values, serial)` when the hand lets go.
   */
  update({ source, labels, help, values, steps, serial }, { drawn, released }) {
    Object.assign(this, { drawn, released, steps, help });
    const key = JSON.stringify([source, labels]);
    const rebuilt = this.key !== key;
    this.key = key;
    // What Python says of a report before the last one is older than the hand.
    const older = !rebuilt && (this.held || this.waiting || serial < this.sent);
    this.sent = Math.max(this.sent, serial);
    this.answered = serial;
    if (!older) {
      this.values = [...values];
      this.moved = false;
    }
    if (rebuilt) this.build(labels);
    this.show();
  }

  /** Whether the hand is ahead of what Python has drawn. */
  get ahead() {
    return Boolean(this.moved || this.waiting || this.answered < this.sent);
  }

  build(labels) {
    clearTimeout(this.waiting);
    this.waiting = 0;
    this.held = this.moved = false;
    this.root.classList.toggle("many", labels.length > 1);
    this.root.replaceChildren(...labels.map((label, j) => this.row(label, j)));
    this.ranges = [...this.root.querySelectorAll("input[type=range]")];
    this.fields = [...this.root.querySelectorAll("input[type=number]")];
  }

  row(name, j) {
    const label = document.createElement("label");
    if (this.help) label.title = this.help;
    const title = Object.assign(document.createElement("span"), { textContent: name });
    if (this.help) title.append(Object.assign(document.createElement("i"), { textContent: "?", ariaHidden: "true" }));
    const bounds = { min: 0, max: 1, step: 1 / this.steps };
    const range = Object.assign(document.createElement("input"), { type: "range", ...bounds });
    range.setAttribute("aria-label", name);
    if (this.help) range.setAttribute("aria-description", this.help);
    const typed = Object.assign(document.createElement("input"), { type: "number", ...bounds });
    typed.setAttribute("aria-label", `${name}, typed`);
    range.addEventListener("input", () => this.move(j, Number(range.value)));
    range.addEventListener("pointerdown", () => { this.held = true; this.rest = 0; });
    range.addEventListener("keydown", () => { this.rest = KEYS_REST_MS; });
    for (const end of ["change", "pointerup", "pointercancel"]) {
      range.addEventListener(end, () => this.release(this.rest));
    }
    typed.addEventListener("change", () => this.take(j, typed));
    label.append(title, range, typed);
    return label;
  }

  /** Take a typed value; anything but a threshold is put back. */
  take(j, field) {
    const value = Number(field.value);
    if (field.value === "" || !(value >= 0 && value <= 1)) {
      field.value = fixed(this.values[j], 3);
      return;
    }
    this.move(j, value);
    this.release(0);
  }

  move(j, value) {
    if (this.values[j] === value) return;
    this.values[j] = value;
    this.moved = true;
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.show(); });
  }

  /** Tell Python, at once or when no key has been pressed for a while. */
  release(after) {
    this.held = false;
    if (!this.moved) return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      this.waiting = 0;
      this.moved = false;
      this.sent += 1;
      this.released([...this.values], this.sent);
    }, after);
  }

  show() {
    this.values.forEach((value, j) => {
      const text = fixed(value, 3);
      if (Number(this.ranges[j].value) !== value) this.ranges[j].value = value;
      if (this.root.getRootNode().activeElement !== this.fields[j]) this.fields[j].value = text;
      this.ranges[j].setAttribute("aria-valuetext", text);
    });
    this.drawn(this.values, this.ahead);
  }

  /** Place of a value among the positions of a slider; null between two of them. */
  position(value) {
    const place = Math.round(value * this.steps);
    return place / this.steps === value ? place : null;
  }

  close() {
    clearTimeout(this.waiting);
    cancelAnimationFrame(this.frame);
  }
}
