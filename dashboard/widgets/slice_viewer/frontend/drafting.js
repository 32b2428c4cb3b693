// Drawing and moving marks with mouse, finger or keys.

const REACH_PX = { mouse: 7, pen: 9, touch: 20 };
/** Below this two points are one: a click that was meant to select. */
const LEAST_PX = 3;
const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

class Drafting {
  constructor(viewer) {
    this.viewer = viewer;
    this.cancel();
  }

  cancel() {
    const moved = this.moving;
    this.draft = this.moving = this.cursor = null;
    if (moved) this.viewer.book.apply({ id: moved.before.id, mark: moved.before });
    this.viewer.redraw?.();
  }

  /** Whether the tool in use draws marks. */
  get draws() {
    return this.viewer.look.tool in MARKS;
  }

  /** The voxel under a place on a pane, kept within the study. */
  pointAt(pane, x, y) {
    const { u, v } = pane.pixelAt(x, y);
    const { geometry, at } = this.viewer;
    const { width, height, mmX, mmY } = geometry.image(pane.kind);
    const within = (place, count) => Math.min(Math.max(place + 0.5, 0), count);
    return geometry.fromMm(pane.kind, [within(u, width) * mmX, within(v, height) * mmY], at);
  }

  /** Begin at a place; false where the press means something else. */
  pressed(pane, event) {
    const { offsetX: x, offsetY: y } = event;
    const { book } = this.viewer;
    if (this.draft && this.draft.pane !== pane) this.cancel();
    if (!this.draft) {
      const under = this.grabbed(pane, x, y, REACH_PX[event.pointerType] ?? REACH_PX.mouse);
      if (under) {
        book.selected = under.mark.id;
        this.moving = { pane, before: under.mark, handle: under.handle, from: this.pointAt(pane, x, y) };
        this.viewer.marksChanged();
        return true;
      }
    }
    if (!this.draws) {
      if (book.selected) {
        book.selected = null;
        this.viewer.marksChanged();
      }
      return false;
    }
    this.place(pane, this.pointAt(pane, x, y));
    return true;
  }

  /** The mark to take hold of; while a tool draws, only points of the chosen one. */
  grabbed(pane, x, y, reach) {
    const under = markUnder(pane, x, y, reach);
    const chosen = under?.handle !== null && under?.mark.id === this.viewer.book.selected;
    return this.draws && !chosen ? null : under;
  }

  /** Set the next point of the draft, or the first one of a new draft. */
  place(pane, point) {
    const kind = this.viewer.look.tool;
    this.draft ??= { pane, kind, points: [], free: null };
    this.draft.points.push(point);
    this.draft.free = null;
    // A line can be drawn by dragging: its second point then follows the first.
    this.held = this.draft.points.length - 1;
    this.viewer.redraw();
  }

  dragged(pane, x, y) {
    const point = this.pointAt(pane, x, y);
    if (this.moving) this.move(point);
    else if (this.draft) {
      const { points, kind } = this.draft;
      const starts = this.held === points.length - 1 && points.length % 2 === 1;
      if (starts && points.length < MARKS[kind].points) {
        points.push(point);
        this.held = points.length - 1;
      } else points[this.held] = point;
    }
    this.viewer.redraw();
  }

  move(point) {
    const { before, handle, from } = this.moving;
    const points = before.points.map((one, k) =>
      handle === k ? point : handle === null ? one.map((value, axis) => value + point[axis] - from[axis]) : one,
    );
    this.moving.after = { ...before, points };
    this.viewer.book.apply({ id: before.id, mark: this.moving.after });
  }

  released() {
    if (this.moving) {
      const { before, after } = this.moving;
      this.moving = null;
      if (after) this.viewer.book.change([{ id: after.id, mark: after, before }]);
    } else this.finishIfWhole();
  }

  finishIfWhole() {
    const { draft } = this;
    if (!draft || draft.points.length < MARKS[draft.kind].points) return;
    this.draft = null;
    const { pane, kind, points } = draft;
    const places = markPlaces(pane, draft, pane.layout());
    const apart = places.slice(1).every(([x, y], k) => Math.hypot(x - places[k][0], y - places[k][1]) >= LEAST_PX);
    if (!apart) {
      this.viewer.redraw();
      return;
    }
    const id = this.viewer.book.add({ kind, plane: pane.kind, points });
    if (MARKS[kind].text) this.viewer.markList.editText(id);
  }

  hovered(pane, x, y) {
    if (this.draft?.pane !== pane) return;
    this.draft.free = this.pointAt(pane, x, y);
    this.viewer.redraw();
  }

  /** The draft as it would be with the pointer's place as its next point. */
  preview(pane) {
    if (this.draft?.pane !== pane) return null;
    const { kind, points, free } = this.draft;
    const more = free && points.length < MARKS[kind].points ? [free] : [];
    return { kind, plane: pane.kind, points: [...points, ...more], text: "" };
  }

  /** Keys while a tool draws: arrows move a cursor, Enter sets a point. True if the key was used. */
  keyed(pane, event) {
    if (event.key === "Escape") return this.escaped();
    if (!this.draws) return false;
    if (event.key === "Enter") {
      if (this.cursor?.pane !== pane) this.showCursor(pane);
      this.place(pane, this.cursor.point);
      this.finishIfWhole();
      return true;
    }
    const turn = ARROWS[event.key];
    if (!turn) return false;
    if (this.cursor?.pane !== pane) this.showCursor(pane);
    const { geometry, at } = this.viewer;
    const { mmX, mmY } = geometry.image(pane.kind);
    const [across, down] = geometry.toMm(pane.kind, this.cursor.point);
    const by = event.shiftKey ? 10 : 1;
    this.cursor.point = geometry.fromMm(
      pane.kind, [across + turn[0] * by * mmX * Math.sign(pane.layout().sx), down + turn[1] * by * mmY * Math.sign(pane.layout().sy)], at,
    );
    if (this.draft?.pane === pane) this.draft.free = this.cursor.point;
    this.viewer.redraw();
    return true;
  }

  /** Leave the draft, else the selection, else the tool. */
  escaped() {
    const { book, look } = this.viewer;
    if (this.draft || this.moving) this.cancel();
    else if (book.selected) book.selected = null;
    else if (this.draws) look.setTool("window");
    else return false;
    this.viewer.marksChanged();
    return true;
  }

  showCursor(pane) {
    const { clientWidth, clientHeight } = pane.canvas;
    this.cursor = { pane, point: this.pointAt(pane, clientWidth / 2, clientHeight / 2) };
  }

  cursorPlace(layout) {
    const { pane, point } = this.cursor;
    return markPlaces(pane, { points: [point] }, layout)[0];
  }
}
