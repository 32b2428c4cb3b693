// The controls around the panes: window, tools, panes, menus, legend.

class Toolbar {
  constructor(viewer, root, signal) {
    Object.assign(this, { viewer, root, signal });
    this.on(".preset", "change", (e) => viewer.look.setPreset(e.target.value));
    this.on(".center", "change", () => this.typedWindow());
    this.on(".width", "change", () => this.typedWindow());
    this.on(".slab", "change", (e) => viewer.look.setSlab(e.target.value));
    this.on(".slab-mm", "change", (e) => viewer.look.setSlab(viewer.look.slab.mode || "mip", e.target.valueAsNumber));
    this.on(".speed", "input", (e) => {
      viewer.cine.speed = e.target.valueAsNumber;
      this.show();
    });
    for (const button of root.querySelectorAll("button[data-panes]")) {
      const panes = { paneCount: Number(button.dataset.panes), filled: null };
      button.addEventListener("click", () => viewer.look.set(panes), { signal });
    }
    this.commands = new Map();
    for (const button of root.querySelectorAll("button[data-command]")) this.bind(button);
    this.bindMenus();
    this.fillChoices();
  }

  on(selector, name, act) {
    this.root.querySelector(selector).addEventListener(name, act, { signal: this.signal });
  }

  /** Make a button of a command: its icon, its name for all who cannot see it, its key. */
  bind(button) {
    const command = COMMANDS.find(({ name }) => name === button.dataset.command);
    const { key, label, short, act } = command;
    button.append(icon(command.name));
    if ("named" in button.dataset) button.append(MARK_NAMES[command.name] ?? short);
    button.title = `${label} (${shownKey(key)})`;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => {
      act(this.viewer, this.viewer.active);
      if (command.group === "Tools") button.closest("details")?.removeAttribute("open");
      this.show();
    }, { signal: this.signal });
    this.commands.set(button, command);
  }

  /** Menus close on Escape and when something else is pressed; only one is open. */
  bindMenus() {
    const { signal } = this;
    const menus = [...this.root.querySelectorAll("details.menu")];
    for (const menu of menus) {
      menu.querySelector("summary").append(icon(menu.classList[1]));
      menu.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        menu.open = false;
        menu.querySelector("summary").focus();
      }, { signal });
    }
    window.addEventListener("pointerdown", (event) => {
      const path = event.composedPath();
      menus.filter((menu) => !path.includes(menu)).forEach((menu) => (menu.open = false));
    }, { signal, capture: true });
  }

  fillChoices() {
    const slab = this.root.querySelector(".slab");
    slab.add(new Option("off", ""));
    Object.entries(SLABS).forEach(([mode, name]) => slab.add(new Option(name, mode)));
    const { least, most } = SLAB_MM;
    Object.assign(this.root.querySelector(".slab-mm"), { min: least, max: most });
    Object.assign(this.root.querySelector(".speed"), { min: CINE.least, max: CINE.most });
  }

  typedWindow() {
    const center = Number(this.root.querySelector(".center").value);
    const width = Number(this.root.querySelector(".width").value);
    if (Number.isFinite(center) && width >= 1) this.viewer.look.setWindow(center, width);
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
    const { viewer, root } = this;
    const { look, cine } = viewer;
    if (!look) return;
    this.fillPresets();
    this.showWindow();
    for (const [button, command] of this.commands) {
      if (command.on) button.setAttribute("aria-pressed", String(Boolean(command.on(viewer))));
    }
    const playing = root.querySelector('[data-command="cine"]');
    if (playing.dataset.plays !== String(cine.plays)) {
      playing.dataset.plays = cine.plays;
      playing.replaceChildren(icon(cine.plays ? "stop" : "cine"));
    }
    root.querySelector(".measure summary").classList.toggle("used", viewer.drafting.draws);
    root.querySelector(".slab").value = look.slab.mode;
    root.querySelector(".slab-mm").value = look.slab.mm;
    root.querySelector(".speed").value = cine.speed;
    root.querySelector(".speed-shown").textContent = cine.speed;
    for (const button of root.querySelectorAll("button[data-panes]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.panes) === look.paneCount));
    }
    const stage = root.querySelector(".stage");
    stage.dataset.panes = look.paneCount;
    stage.dataset.filled = look.filled ?? "";
    stage.classList.toggle("with-ribbon", Boolean(viewer.data.ribbon));
  }

  showWindow() {
    const { preset, center, width } = this.viewer.look.window;
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
