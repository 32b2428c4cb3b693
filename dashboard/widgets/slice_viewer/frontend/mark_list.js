// The marks of the study as a list, and the field for the text of an arrow or box.

const MARK_NAMES = {
  length: "Length", angle: "Angle", cobb: "Cobb angle", ellipse: "Ellipse", rectangle: "Rectangle",
  probe: "Point", arrow: "Arrow", box: "Box",
};

class MarkList {
  constructor(viewer, root, signal) {
    Object.assign(this, { viewer, root });
    this.details = root.querySelector("details.marks");
    this.field = root.querySelector("input.mark-text");
    this.field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" || event.key === "Escape") this.field.blur();
    }, { signal });
    this.field.addEventListener("blur", () => this.takeText(), { signal });
    this.details.addEventListener("toggle", () => this.show(), { signal });
  }

  show() {
    const { book } = this.viewer;
    const marks = [...book.marks.values()];
    this.details.hidden = !marks.length;
    this.details.querySelector("summary").textContent = `Marks (${marks.length})`;
    if (this.details.open) this.details.querySelector("ul").replaceChildren(...marks.map((mark) => this.row(mark)));
  }

  row(mark) {
    const { book } = this.viewer;
    const row = document.createElement("li");
    const { value, details } = book.figure(mark);
    const place = Math.round(mark.points[0][ALONG[mark.plane]]);
    const words = [value, ...details].filter(Boolean).join(", ");
    const button = (text, act, label) => {
      const one = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      one.addEventListener("click", act);
      if (label) one.setAttribute("aria-label", label);
      return one;
    };
    const name = `${MARK_NAMES[mark.kind]}, ${mark.plane} ${place}`;
    const go = button(`${name}: ${words || "no text"}`, () => book.goTo(mark.id));
    go.setAttribute("aria-pressed", String(mark.id === book.selected));
    row.append(go);
    if (MARKS[mark.kind].text) row.append(button("Edit text", () => this.editText(mark.id), `Edit the text of ${name}`));
    row.append(button("Delete", () => book.remove([mark.id]), `Delete ${name}`));
    return row;
  }

  /** Ask for the text of a mark, next to the picture. */
  editText(id) {
    const mark = this.viewer.book.marks.get(id);
    this.edited = id;
    this.field.hidden = false;
    this.field.value = mark.text;
    this.field.focus();
  }

  takeText() {
    const mark = this.viewer.book.marks.get(this.edited);
    const text = this.field.value.trim();
    this.field.hidden = true;
    this.edited = null;
    if (mark && text !== mark.text) this.viewer.book.change([{ id: mark.id, mark: { ...mark, text } }]);
    this.viewer.active.canvas.focus({ preventScroll: true });
  }
}
