// The controls around the panes: presets, panes, tools, legend.

class Toolbar {
  constructor(viewer, root, signal) {
    Object.assign(this, { viewer, root });
    const on = (selector, name, act) =>
      root.querySelector(selector).addEventListener(name, act, { signal });
    on(".preset", "change", (e) => viewer.setPreset(e.target.value));
    on(".center", "change", () => this.typedWindow());
    on(".width", "change", () => this.typedWindow());
    on(".tool", "change", (e) => viewer.setTool(e.target.value));
    on(".smooth", "click", () => viewer.setSmooth(!viewer.smooth));
    on(".reset", "click", () => viewer.reset());
    on(".shot", "click", () => viewer.saveScreenshot());
    for (const button of root.querySelectorAll("button[data-panes]")) {
      button.addEventListener("click", () => viewer.setPanes(Number(button.dataset.panes)), { signal });
    }
  }

  typedWindow() {
    const center = Number(this.root.querySelector(".center").value);
    const width = Number(this.root.querySelector(".width").value);
    if (Number.isFinite(center) && width >= 1) this.viewer.setWindow(center, width);
    else this.showWindow();
  }

  fillPresets() {
    const select = this.root.querySelector(".preset");
    if (select.options.length) return;
    for (const name of [...Object.keys(this.viewer.data.windows), "custom"]) {
      select.add(new Option(name[0].toUpperCase() + name.slice(1), name));
    }
    select.options[select.options.length - 1].disabled = true;
  }

  show() {
    this.fillPresets();
    this.showWindow();
    const { viewer, root } = this;
    root.querySelector(".tool").value = viewer.tool;
    root.querySelector(".smooth").setAttribute("aria-pressed", String(viewer.smooth));
    for (const button of root.querySelectorAll("button[data-panes]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.panes) === viewer.paneCount));
    }
    root.querySelector(".stage").dataset.panes = viewer.paneCount;
    root.querySelector(".stage").classList.toggle("with-ribbon", Boolean(viewer.data.ribbon));
  }

  showWindow() {
    const { preset, center, width } = this.viewer.window;
    this.root.querySelector(".preset").value = preset;
    this.root.querySelector(".center").value = Math.round(center);
    this.root.querySelector(".width").value = Math.round(width);
  }

  /** One row per overlay: whether it is shown, its colours, its opacity. */
  fillLegend() {
    const legend = this.root.querySelector(".legend");
    const rows = this.viewer.layers.map((layer, k) => this.legendRow(layer, k));
    if (this.viewer.data.ribbon) rows.push(this.ribbonRow());
    legend.replaceChildren(...rows);
    legend.hidden = !rows.length;
  }

  legendRow(layer, k) {
    const row = document.createElement("div");
    row.className = "layer";
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: layer.shown });
    box.addEventListener("change", () => {
      layer.shown = box.checked;
      this.viewer.fetchAround();
      this.viewer.redraw();
    });
    label.append(box, ` ${layer.spec.name}`);
    row.append(label, ...this.swatches(layer));
    const slider = Object.assign(document.createElement("input"), {
      type: "range", min: 0, max: 100, value: Math.round(layer.opacity * 100),
    });
    slider.setAttribute("aria-label", `Opacity of ${layer.spec.name}`);
    slider.title = "Opacity";
    slider.addEventListener("input", () => {
      layer.opacity = slider.value / 100;
      this.viewer.redraw();
    });
    row.append(slider);
    row.dataset.layer = k;
    return row;
  }

  /** Legend of the strip next to the axial pane. */
  ribbonRow() {
    const { ribbon, current } = this.viewer.data;
    const row = document.createElement("div");
    row.className = "layer ribbon-words";
    const name = Object.assign(document.createElement("b"), { textContent: "Strip" });
    const parts = [[ribbon.suspicion, "fracture probability of each slice, 0 to 1", "fill"]];
    if (ribbon.presence) {
      const lanes = `linear-gradient(90deg, ${ribbon.colors.join(",")})`;
      parts.push([lanes, "vertebra visible on the slice", "fill wide"]);
    }
    if (ribbon.threshold !== null) {
      parts.push(["currentColor", `operating point ${ribbon.threshold.toFixed(3)}`, "dash"]);
    }
    parts.push([current, "current slice", "fill"]);
    row.append(name, ...parts.map((part) => this.swatch(...part)));
    return row;
  }

  swatch(color, name, style) {
    const item = document.createElement("span");
    item.className = `swatch ${style}`;
    const chip = document.createElement("i");
    chip.style.setProperty("--chip", color);
    item.append(chip, name);
    return item;
  }

  swatches({ spec }) {
    const swatch = (...parts) => this.swatch(...parts);
    if (spec.kind === "mask") {
      return Object.entries(spec.colors).map(([k, color]) => swatch(color, spec.labels[k], "fill"));
    }
    if (spec.kind === "boxes") return [swatch(spec.color, "", spec.dashed ? "dash" : "line")];
    return [swatch(`linear-gradient(90deg, ${spec.stops.join(",")})`, "low to high", "ramp")];
  }
}
