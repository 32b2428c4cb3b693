// Cine: the slices of a pane one after the other, at a chosen speed.

const CINE = { least: 1, most: 60, first: 12 };

class Cine {
  constructor(viewer) {
    this.viewer = viewer;
    this.speed = CINE.first;
    this.frame = null;
  }

  get plays() {
    return this.frame !== null;
  }

  toggle(pane) {
    if (this.plays) this.stop();
    else {
      this.pane = pane;
      this.shownAt = performance.now();
      this.next();
    }
    this.viewer.toolbar.show();
  }

  next() {
    this.frame = requestAnimationFrame((now) => {
      const due = now - this.shownAt >= 1000 / this.speed;
      // A slice that has not arrived is waited for, so that none is left out.
      if (due && this.pane.canvas.dataset.drawn !== "") {
        this.shownAt = now;
        this.viewer.advance(this.pane.kind);
      }
      this.next();
    });
  }

  stop() {
    if (!this.plays) return;
    cancelAnimationFrame(this.frame);
    this.frame = null;
    this.viewer.toolbar.show();
    if (this.pane.kind === "axial") this.viewer.report();
  }
}
