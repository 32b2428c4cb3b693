// Sliders of the active model. While one is moved, the page is rewritten from counts that the
// browser has.

const BOARDS = new WeakMap();

class Board {
  constructor(root) {
    this.root = root;
    this.sliders = new Sliders(root);
  }

  /** Apply the data from Python; called at the first drawing and at every rerun. */
  update(data, setStateValue) {
    const fresh = this.data?.urls.join() !== data.urls.join();
    this.data = data;
    if (fresh) this.fetchTables();
    this.sliders.update(data, {
      drawn: (values, ahead) => { if (ahead) this.draw(values); },
      released: (values, serial) => setStateValue("moved", { source: data.source, values, serial }),
    });
  }

  /** Fetch the counts of all items and those with C1 to C7; the latter take the former's place. */
  async fetchTables() {
    const { urls } = this.data;
    this.tables = null;
    this.root.dataset.ready = "no";
    for (const url of urls) {
      try {
        const answer = await fetch(url);
        if (!answer.ok) throw new Error(answer.status);
        const bytes = await answer.arrayBuffer();
        if (this.data.urls !== urls && this.data.urls.join() !== urls.join()) return;
        this.tables = new Tables(bytes, this.data);
        this.root.dataset.ready = "yes";
      } catch {
        // The sliders still work: Python answers when one is let go.
      }
    }
    this.root.dataset.whole = this.tables ? "yes" : "no";
  }

  /** Rewrite the page; thresholds between two positions are left to Python. */
  draw(values) {
    if (!this.tables || values.some((value) => this.sliders.position(value) === null)) return;
    const found = this.tables.figures(values);
    const text = texts(found, values, this.data);
    const single = values.length === 1;
    if (single) this.sliders.ranges[0].setAttribute("aria-valuetext", `${text.at} ${text["what-if"]}`);
    for (const one of document.querySelectorAll("[data-live]")) {
      const [kind, part] = one.dataset.live.split(":");
      if (one.dataset.live in text) setText(one, text[one.dataset.live]);
      else if (kind === "c") this.drawCell(one, found.all, part);
      else if (kind === "line") drawLine(one, values[part], single);
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
  const root = parentElement.querySelector(".sliders");
  let board = BOARDS.get(root);
  if (!board) {
    board = new Board(root);
    BOARDS.set(root, board);
    root.board = board;
  }
  board.update(data, setStateValue);
  return () => {
    board.sliders.close();
    BOARDS.delete(root);
    delete root.board;
  };
}
