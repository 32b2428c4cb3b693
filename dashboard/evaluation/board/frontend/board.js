// Sliders of the active model. While one is moved, the page is rewritten from counts that the
// browser has; Python learns of it when the slider is let go.

const BOARDS = new WeakMap();
const KEYS_REST_MS = 350;

class Board {
  constructor(root) {
    this.root = root;
    this.sent = 0;
  }

  /** Apply the data from Python; called at the first drawing and at every rerun. */
  update(data, setStateValue) {
    this.setStateValue = setStateValue;
    const fresh = this.data?.url !== data.url;
    const rebuilt = this.data?.values.length !== data.values.length || this.data?.source !== data.source;
    this.data = data;
    if (fresh) this.fetchTables();
    // What Python says of a report before the last one is older than the hand.
    const older = !rebuilt && (this.held || this.waiting || data.serial < this.sent);
    this.sent = Math.max(this.sent, data.serial);
    if (older) { this.draw(); return; }
    this.values = [...data.values];
    if (rebuilt || !this.sliders) this.build();
    this.show();
  }

  async fetchTables() {
    const { data } = this;
    this.tables = null;
    try {
      const answer = await fetch(data.url);
      if (!answer.ok) throw new Error(answer.status);
      const bytes = await answer.arrayBuffer();
      if (this.data.url === data.url) this.tables = new Tables(bytes, data);
    } catch {
      // The sliders still work: Python answers when one is let go.
    }
    this.root.dataset.ready = this.tables ? "yes" : "no";
  }

  build() {
    const many = this.values.length > 1;
    this.root.classList.toggle("many", many);
    this.root.replaceChildren(...this.values.map((_, j) => {
      const label = document.createElement("label");
      const title = document.createElement("span");
      title.textContent = many ? VERTEBRAE[j] : `Threshold of ${this.data.model}`;
      const range = Object.assign(document.createElement("input"), {
        type: "range", min: 0, max: 1, step: 1 / this.data.steps,
      });
      range.setAttribute("aria-label", title.textContent);
      const typed = Object.assign(document.createElement("input"), {
        type: "number", min: 0, max: 1, step: 1 / this.data.steps,
      });
      typed.setAttribute("aria-label", `${title.textContent}, typed`);
      range.addEventListener("input", () => this.move(j, Number(range.value)));
      range.addEventListener("pointerdown", () => { this.held = true; this.rest = 0; });
      range.addEventListener("keydown", () => { this.rest = KEYS_REST_MS; });
      for (const end of ["change", "pointerup", "pointercancel"]) {
        range.addEventListener(end, () => this.release(this.rest));
      }
      typed.addEventListener("change", () => {
        const value = Number(typed.value);
        if (typed.value === "" || !(value >= 0 && value <= 1)) {
          typed.value = fixed(this.values[j], 3);
          return;
        }
        this.move(j, value);
        this.release(0);
      });
      label.append(title, range, typed);
      return label;
    }));
    this.sliders = [...this.root.querySelectorAll("input[type=range]")];
    this.fields = [...this.root.querySelectorAll("input[type=number]")];
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
      this.setStateValue("moved", { source: this.data.source, values: [...this.values], serial: this.sent });
    }, after);
  }

  show() {
    this.values.forEach((value, j) => {
      const text = fixed(value, 3);
      if (Number(this.sliders[j].value) !== value) this.sliders[j].value = value;
      if (this.root.getRootNode().activeElement !== this.fields[j]) this.fields[j].value = text;
      this.sliders[j].setAttribute("aria-valuetext", text);
    });
    this.draw();
  }

  /** Rewrite the page; thresholds between two positions are left to Python. */
  draw() {
    const { steps } = this.data;
    if (!this.tables || !this.moved && !this.waiting) return;
    if (this.values.some((value) => Math.round(value * steps) / steps !== value)) return;
    const found = this.tables.figures(this.values);
    const text = texts(found, this.values, this.data);
    if (this.values.length === 1) this.sliders[0].setAttribute("aria-valuetext", `${text.at} ${text["what-if"]}`);
    for (const one of document.querySelectorAll("[data-live]")) {
      const [kind, part] = one.dataset.live.split(":");
      if (one.dataset.live in text) setText(one, text[one.dataset.live]);
      else if (kind === "c") this.drawCell(one, found.all, part);
      else if (kind === "line") drawLine(one, this.values[part], this.values.length === 1);
      else if (kind === "pr") markPr(one, found.all);
      else if (kind === "roc") markRoc(one, found.all, [0, 0, 1, 1]);
      else if (kind === "panel" && found.each[part]) markRoc(one, found.each[part], this.data.panels[part]);
    }
  }

  drawCell(cell, all, part) {
    const total = part === "tp" || part === "fn" ? all.positive : all.negative;
    const share = total ? all[part] / total : 0;
    cell.style.setProperty("--share", percent(share));
    setText(cell.querySelector("b"), grouped(all[part]));
    setText(cell.querySelector("span"), percent(share));
  }
}

function setText(element, text) {
  // Only the text node is written: React keeps what it has drawn.
  const node = element.firstChild;
  if (node?.nodeType === 3) { if (node.data !== text) node.data = text; } else element.textContent = text;
}

const place = (share) => `${fixed(100 * Math.min(Math.max(share, 0), 1), 3)}%`;

function mark(element, x, y, facts) {
  element.style.left = place(x);
  element.style.bottom = place(y);
  element.title = `${element.title.split(": recall")[0]}: ${facts}`;
}

function markRoc(element, counts, [left, bottom, width, height]) {
  const { recall, specificity } = counts;
  mark(element, left + (1 - specificity) * width, bottom + recall * height,
    `recall ${fixed(recall, 3)}, specificity ${fixed(specificity, 3)}`);
}

function markPr(element, counts) {
  // Without a call precision is 1 by the curve's convention.
  const precision = counts.called ? counts.precision : 1;
  mark(element, counts.recall, precision, `recall ${fixed(counts.recall, 3)}, precision ${fixed(precision, 3)}`);
}

function drawLine(element, value, named) {
  element.style.left = place(value);
  element.classList.toggle("lab-line-left", value > 0.8);
  const label = element.querySelector("b");
  if (label && named) setText(label, fixed(value, 3));
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".board");
  let board = BOARDS.get(root);
  if (!board) {
    board = new Board(root);
    BOARDS.set(root, board);
    root.board = board;
  }
  board.update(data, setStateValue);
  return () => {
    cancelAnimationFrame(board.frame);
    BOARDS.delete(root);
    delete root.board;
  };
}
