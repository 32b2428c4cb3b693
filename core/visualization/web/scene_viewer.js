// The 3D scene of a neck, drawn with vtk.js. It knows nothing of where its bytes come from: the
// dashboard fetches them, an exported page carries them.
class SceneViewer {
  // How much further apart the vertebrae lie at the end of the slider, as a share.
  static APART = 0.8;

  // root: the element of scene.html; source: {parts, info, plane(query)}; report: told of events.
  constructor(vtk, root, source, report) {
    Object.assign(this, { vtk, root, source, report, info: source.info, center: source.info.center });
    this.values = { threshold: this.info.threshold, color: this.judged() ? "probability" : "label", explode: 0, turn: 0, cut: 0,
      slice: this.info.start_slice, chosen: null };
    this.shown = { rest: true, true_boxes: true, predicted_boxes: true, fractures: true, names: true,
      cut: false, axial: true, clip: false };
    this.find = (name) => root.querySelector(`[data-part="${name}"]`);
    this.planes = {};
    this.pieces = [];
    this.frames = 0;
    // The first picture shows vertebrae, boxes and fracture lines; CT, the rest of the bone and the
    // cube follow it.
    this.whole = false;
    this.drawn = new Promise((resolve) => { this.tellDrawn = resolve; });
    for (const key of root.querySelectorAll("[data-key]")) {
      key.style.background = this.info.colors[key.dataset.key];
    }
    this.setUp();
    this.addSurfaces();
    this.addBoxes();
    this.addPlanes();
    this.addNames();
    this.wire();
    this.look("anterior", false);
    this.recolor();
    this.apply();
    this.drawn.then(() => this.complete());
  }

  complete() {
    if (this.gone) return;
    this.whole = true;
    this.addCube();
    this.sagittal();
    this.apply();
  }

  // Whether this browser has WebGL, and whether a processor draws it instead of a graphics card.
  static drawing() {
    if (SceneViewer.known) return SceneViewer.known;
    let gl = null;
    try {
      gl = document.createElement("canvas").getContext("webgl2");
    } catch {
      // As good as none.
    }
    const named = gl?.getExtension("WEBGL_debug_renderer_info");
    const card = gl ? String(gl.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : gl.RENDERER)) : "";
    gl?.getExtension("WEBGL_lose_context")?.loseContext();
    SceneViewer.known = { webgl: Boolean(gl), software: /swiftshader|llvmpipe|softpipe|basic render/i.test(card) };
    return SceneViewer.known;
  }

  judged() {
    return Object.values(this.info.levels).some((level) => level.prob !== null);
  }

  // The surfaces may have lines that the page does not show yet.
  linesShown() {
    return this.shown.fractures && !this.info.absent.includes("fractures");
  }

  setUp() {
    const { vtk } = this;
    this.canvasBox = this.find("canvas");
    this.window = vtk.Rendering.Misc.vtkGenericRenderWindow.newInstance({ listenWindowResize: false });
    // A processor takes twice as long for smoothed edges.
    const canvas = this.window.getApiSpecificRenderWindow().getCanvas();
    canvas.getContext = (kind, wishes) => HTMLCanvasElement.prototype.getContext.call(canvas, kind,
      { ...wishes, antialias: !SceneViewer.drawing().software });
    this.window.setContainer(this.canvasBox);
    this.renderer = this.window.getRenderer();
    this.scene = this.window.getRenderWindow();
    this.renderer.setBackground(0, 0, 0, 0);
    this.window.getApiSpecificRenderWindow().setOffScreen?.(false);
    this.renderer.setTwoSidedLighting(true);
    this.renderer.removeAllLights();
    // A key light from the viewer's upper left, a cool fill and a rim from behind: flat enough for
    // a projector, with edges that stay visible.
    for (const [position, intensity, color] of [
      [[-0.55, 0.75, 1.0], 0.82, [1, 0.98, 0.94]],
      [[0.9, -0.15, 0.7], 0.38, [0.86, 0.92, 1]],
      [[0.1, 0.5, -1.0], 0.3, [1, 1, 1]],
    ]) {
      const light = vtk.Rendering.Core.vtkLight.newInstance();
      light.setLightTypeToCameraLight();
      light.setPosition(...position);
      light.setFocalPoint(0, 0, 0);
      light.setIntensity(intensity);
      light.setColor(...color);
      this.renderer.addLight(light);
    }
    this.camera = this.renderer.getActiveCamera();
    // Boxes and fracture lines lie in a layer of their own, over the bone that surrounds them.
    this.over = vtk.Rendering.Core.vtkRenderer.newInstance();
    this.scene.setNumberOfLayers(2);
    this.over.setLayer(1);
    this.over.setInteractive(false);
    this.over.setActiveCamera(this.camera);
    this.scene.addRenderer(this.over);
    this.camera.setViewAngle(26);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.canvasBox);
  }

  resize() {
    if (this.canvasBox.clientWidth && this.canvasBox.clientHeight) {
      const ratio = globalThis.devicePixelRatio || 1;
      this.window.getApiSpecificRenderWindow().setSize(
        Math.floor(this.canvasBox.clientWidth * ratio), Math.floor(this.canvasBox.clientHeight * ratio));
      this.render();
    }
  }

  // -- what is in the scene ------------------------------------------------------------------

  addSurfaces() {
    const bytes = this.source.parts;
    const length = new DataView(bytes).getUint32(4, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length)).trim());
    const kinds = { "<u2": Uint16Array, "<u4": Uint32Array, "|i1": Int8Array };
    const read = (place) => new kinds[place.dtype](bytes, 8 + length + place.start,
      place.shape.reduce((a, b) => a * b, 1));
    for (const entry of header.surfaces) {
      const steps = read(entry.arrays.points);
      const points = new Float32Array(steps.length);
      for (let k = 0; k < steps.length; k++) points[k] = entry.low[k % 3] + steps[k] * entry.step[k % 3];
      const bytes8 = read(entry.arrays.normals);
      const normals = new Float32Array(bytes8.length);
      for (let k = 0; k < normals.length; k++) normals[k] = bytes8[k] / 127;
      const ids = read(entry.arrays.triangles);
      const cells = new Uint32Array((ids.length / 3) * 4);
      for (let t = 0, k = 0; t < ids.length; t += 3) {
        cells[k++] = 3; cells[k++] = ids[t]; cells[k++] = ids[t + 1]; cells[k++] = ids[t + 2];
      }
      this.pieces.push(this.piece(entry, points, normals, cells, read(entry.arrays.slices)));
    }
    this.vertebrae = this.pieces.filter((piece) => piece.kind === "vertebra");
  }

  // An actor that a click goes through, in one colour where one is given.
  addActor(renderer, mapper, look, color) {
    const actor = this.vtk.Rendering.Core.vtkActor.newInstance();
    actor.setMapper(mapper);
    actor.setPickable(false);
    actor.getProperty().set(look);
    if (color) actor.getProperty().setColor(...SceneViewer.rgb(color));
    renderer.addActor(actor);
    return actor;
  }

  piece(entry, points, normals, cells, slices) {
    const { vtk } = this;
    const data = vtk.Common.DataModel.vtkPolyData.newInstance();
    data.getPoints().setData(points, 3);
    data.getPolys().setData(cells);
    data.getPointData().setNormals(vtk.Common.Core.vtkDataArray.newInstance({
      name: "Normals", numberOfComponents: 3, values: normals }));
    const mapper = vtk.Rendering.Core.vtkMapper.newInstance({ scalarVisibility: false });
    mapper.setInputData(data);
    const bone = { ambient: 0.16, diffuse: 0.86, specular: 0.18, specularPower: 18 };
    const [renderer, look, color] = {
      vertebra: [this.renderer, bone, null],
      rest: [this.renderer, { ...bone, opacity: 0.14 }, "#C9D3DA"],
      fracture: [this.over, { ...bone, ambient: 0.75, diffuse: 0.4 }, this.info.colors.fractures],
    }[entry.kind];
    const actor = this.addActor(renderer, mapper, look, color);
    actor.setPickable(entry.kind === "vertebra");
    const sample = [];
    const stride = 3 * Math.max(1, Math.floor(points.length / 3 / 90));
    for (let k = 0; k < points.length; k += stride) sample.push([points[k], points[k + 1], points[k + 2]]);
    return { sample, kind: entry.kind, name: entry.name, data, mapper, actor, slices, bounds: data.getBounds() };
  }

  addBoxes() {
    const { vtk } = this;
    this.boxes = [];
    for (const kind of ["true_boxes", "predicted_boxes"]) {
      const color = this.info.colors[kind];
      for (const box of this.info[kind]) {
        const data = vtk.Common.DataModel.vtkPolyData.newInstance();
        data.getPoints().setData(Float32Array.from(box.corners.flat()), 3);
        const edges = [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4], [0, 4], [1, 5], [2, 6], [3, 7]];
        data.getLines().setData(Uint32Array.from(edges.flatMap((e) => [2, ...e])));
        // WebGL draws lines one pixel wide, so the edges are thin tubes.
        const tube = vtk.Filters.General.vtkTubeFilter.newInstance({ radius: 0.55, numberOfSides: 8, capping: true });
        tube.setInputData(data);
        const mapper = vtk.Rendering.Core.vtkMapper.newInstance({ scalarVisibility: false });
        mapper.setInputConnection(tube.getOutputPort());
        const actor = this.addActor(this.over, mapper, { ambient: 0.7, diffuse: 0.4, specular: 0 }, color);
        const middle = [0, 1, 2].map((a) => box.corners.reduce((sum, corner) => sum + corner[a], 0) / box.corners.length);
        this.boxes.push({ kind, actor, near: box.vertebra, middle });
      }
    }
  }

  // Other networks or boxes: what is said changes, surfaces and camera stay.
  setInfo(info) {
    for (const box of this.boxes) this.over.removeActor(box.actor);
    if (!this.judged()) this.values.color = "probability";
    this.info = info;
    if (!this.judged()) this.values.color = "label";
    this.offerColors();
    this.addBoxes();
    for (const box of this.root.querySelectorAll("[data-show]")) this.offer(box);
    this.recolor();
    this.apply();
  }

  addPlanes() {
    const { vtk } = this;
    for (const name of ["axial", "cut"]) {
      const plane = vtk.Filters.Sources.vtkPlaneSource.newInstance();
      const mapper = vtk.Rendering.Core.vtkMapper.newInstance();
      mapper.setInputConnection(plane.getOutputPort());
      const actor = this.addActor(this.renderer, mapper, { lighting: false, ambient: 1, diffuse: 0 });
      actor.setVisibility(false);
      actor.setForceOpaque(true);
      this.planes[name] = { plane, actor, wanted: null, busy: false, shown: null };
    }
    this.clip = vtk.Common.DataModel.vtkPlane.newInstance();
  }

  addCube() {
    const { vtk } = this;
    const cube = vtk.Rendering.Core.vtkAnnotatedCubeActor.newInstance();
    const style = { fontStyle: "bold", fontFamily: "Arial", fontColor: "#0F2A40", faceColor: "#DCE8EE",
      edgeThickness: 0.08, edgeColor: "#7F909E", resolution: 128, fontScale: (size) => size / 1.7 };
    cube.setDefaultStyle(style);
    for (const [face, text, turn] of [["setXPlusFaceProperty", "L", 90], ["setXMinusFaceProperty", "R", -90],
      ["setYPlusFaceProperty", "P", 180], ["setYMinusFaceProperty", "A", 0], ["setZPlusFaceProperty", "H", 0],
      ["setZMinusFaceProperty", "F", 180]]) cube[face]({ text, faceRotation: turn });
    this.cube = vtk.Interaction.Widgets.vtkOrientationMarkerWidget.newInstance({
      actor: cube, interactor: this.scene.getInteractor() });
    this.cube.setViewportCorner(vtk.Interaction.Widgets.vtkOrientationMarkerWidget.Corners.BOTTOM_RIGHT);
    this.cube.setViewportSize(0.13);
    this.cube.setMinPixelSize(64);
    this.cube.setMaxPixelSize(110);
    this.cube.setEnabled(true);
  }

  addNames() {
    this.tags = this.vertebrae.map((piece) => {
      const tag = document.createElement("button");
      tag.className = "lab3d-tag";
      tag.textContent = piece.name;
      tag.type = "button";
      tag.addEventListener("click", () => this.choose(piece.name));
      this.find("names").append(tag);
      return { tag, piece };
    });
  }

  // -- colours -------------------------------------------------------------------------------

  static rgb(hex) {
    return [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16) / 255);
  }

  // Bone below the threshold, amber to red above it; equal to the threshold is a call.
  suspicion(prob) {
    const mix = (a, b, t) => a.map((v, k) => v + (b[k] - v) * t);
    const [bone, hint, amber, red] = ["#E9E0CC", "#E6D2A4", "#E8930C", "#C8321A"].map(SceneViewer.rgb);
    const at = this.values.threshold;
    if (prob < at) return mix(bone, hint, at > 0 ? prob / at : 0);
    return mix(amber, red, at < 1 ? (prob - at) / (1 - at) : 0);
  }

  recolor() {
    const unseen = SceneViewer.rgb("#9AA7B1");
    const plain = SceneViewer.rgb("#CFC9BC");
    for (const piece of this.vertebrae) {
      const level = this.info.levels[piece.name];
      const known = level && level.prob !== null;
      const by = this.values.color;
      const painted = by === "slices" && known;
      piece.mapper.setScalarVisibility(painted);
      if (painted) this.paint(piece, level.slice_probs);
      const flat = by === "label" ? SceneViewer.rgb(level ? level.color : this.info.colors.unknown)
        : known ? this.suspicion(level.prob) : level ? unseen : plain;
      piece.actor.getProperty().setColor(...flat);
      piece.color = flat;
      piece.called = Boolean(known && level.prob >= this.values.threshold);
    }
    for (const { tag, piece } of this.tags ?? []) {
      const level = this.info.levels[piece.name];
      tag.classList.toggle("lab3d-hot", piece.called);
      tag.classList.toggle("lab3d-chosen", this.values.chosen === piece.name);
      tag.title = !level ? "not judged" : level.prob === null ? "no probability"
        : `fracture probability ${level.prob.toFixed(3)}`;
    }
    this.legend();
    this.render();
  }

  paint(piece, probs) {
    const table = probs.map((p) => this.suspicion(p).map((v) => Math.round(255 * v)));
    const values = new Uint8Array(piece.slices.length * 3);
    piece.slices.forEach((i, k) => values.set(table[i], 3 * k));
    piece.data.getPointData().setScalars(this.vtk.Common.Core.vtkDataArray.newInstance({
      name: "Suspicion", numberOfComponents: 3, values }));
    piece.mapper.setColorModeToDirectScalars();
    piece.mapper.setScalarModeToUsePointData();
    piece.data.modified();
  }

  legend() {
    const css = (prob) => `rgb(${this.suspicion(prob).map((v) => Math.round(255 * v)).join(",")})`;
    const at = this.values.threshold;
    const bar = this.find("legend");
    bar.hidden = this.values.color === "label";
    bar.querySelector("i").style.background =
      `linear-gradient(90deg, ${css(0)} 0%, ${css(Math.max(at - 1e-6, 0))} ${100 * at}%, ${css(at)} ${100 * at}%, ${css(1)} 100%)`;
    bar.querySelector("u").style.left = `${100 * at}%`;
    this.find("threshold-text").textContent = at.toFixed(3);
  }

  // -- camera --------------------------------------------------------------------------------

  look(name, smooth = true) {
    if (name === "fracture") return this.fly();
    const direction = { anterior: [0, -1, 0], posterior: [0, 1, 0], left: [1, 0, 0], right: [-1, 0, 0],
      oblique: [0.62, -0.72, 0.3] }[name];
    const spine = this.vertebrae;
    const tall = spine.length ? Math.max(...spine.map((p) => p.bounds[5])) - Math.min(...spine.map((p) => p.bounds[4])) : 150;
    this.move(this.center, direction, this.distance(Math.max(tall, 80) * 1.22), smooth);
  }

  distance(height) {
    const angle = (this.camera.getViewAngle() * Math.PI) / 180;
    const aspect = this.canvasBox.clientWidth / Math.max(this.canvasBox.clientHeight, 1);
    return height / 2 / Math.tan(angle / 2) / Math.min(1, aspect * 1.15);
  }

  fly(name = this.info.suspect) {
    const piece = this.vertebrae.find((p) => p.name === name);
    if (!piece) return;
    const target = SceneViewer.middle(piece);
    const offset = piece.actor.getPosition();
    this.choose(name, false);
    this.move(target.map((v, a) => v + offset[a]), this.side(piece, target), this.distance(62), true);
  }

  static middle(piece) {
    return [0, 1, 2].map((a) => (piece.bounds[2 * a] + piece.bounds[2 * a + 1]) / 2);
  }

  // From which side a vertebra's fracture is seen: that of its boxes, else of what is shown of the truth.
  side(piece, target) {
    const near = (kind) => this.boxes.filter((box) => box.kind === kind && box.near === piece.name).map((box) => box.middle);
    const lines = this.pieces.filter((p) => p.kind === "fracture" && p.name === piece.name).map(SceneViewer.middle);
    const known = [near("predicted_boxes"), this.linesShown() ? lines : [], this.shown.true_boxes ? near("true_boxes") : []]
      .find((places) => places.length) ?? [];
    const [x, y] = [0, 1].map((a) => known.reduce((sum, place) => sum + place[a] - target[a], 0) / (known.length || 1));
    const away = Math.hypot(x, y);
    // In the middle of the vertebra there is no side.
    return away < 3 ? [0.62, -0.72, 0.42] : [x / away, y / away, 0.42];
  }

  move(target, direction, distance, smooth) {
    const length = Math.hypot(...direction);
    const goal = target.map((v, a) => v + (direction[a] / length) * distance);
    const start = { position: this.camera.getPosition(), focus: this.camera.getFocalPoint() };
    const began = performance.now();
    const calm = !smooth || matchMedia("(prefers-reduced-motion: reduce)").matches;
    cancelAnimationFrame(this.flight);
    this.flying = true;
    const step = () => {
      const t = calm ? 1 : Math.min((performance.now() - began) / 600, 1);
      const s = t * t * (3 - 2 * t);
      const mix = (a, b) => a.map((v, k) => v + (b[k] - v) * s);
      const focus = mix(start.focus, target);
      // Along an arc: straight lines between two sides of the neck would lead through it.
      const from = start.position.map((v, k) => v - start.focus[k]);
      const to = goal.map((v, k) => v - target[k]);
      const away = mix(from, to);
      const wanted = Math.hypot(...from) + (Math.hypot(...to) - Math.hypot(...from)) * s;
      const now = Math.hypot(...away) || 1;
      const offset = now < 0.15 * wanted ? [away[0] + wanted * 0.3, away[1], away[2]] : away;
      const norm = Math.hypot(...offset);
      this.camera.setFocalPoint(...focus);
      this.camera.setPosition(...focus.map((v, k) => v + (t === 1 ? to[k] : (offset[k] / norm) * wanted)));
      this.camera.setViewUp(0, 0, 1);
      this.renderer.resetCameraClippingRange();
      this.render();
      this.flying = t < 1;
      if (this.flying) this.flight = requestAnimationFrame(step);
    };
    step();
  }

  cameraState() {
    return { position: this.camera.getPosition(), focus: this.camera.getFocalPoint(), up: this.camera.getViewUp() };
  }

  // -- planes --------------------------------------------------------------------------------

  async hang(name, query) {
    const plane = this.planes[name];
    plane.wanted = query;
    if (plane.busy) return;
    plane.busy = true;
    try {
      while (plane.wanted && plane.wanted !== plane.shown) {
        const asked = plane.wanted;
        const { url, corners } = await this.source.plane(asked);
        const image = new Image();
        image.src = url;
        await image.decode();
        URL.revokeObjectURL(url);
        if (this.gone) return;
        const texture = this.vtk.Rendering.Core.vtkTexture.newInstance({ interpolate: true });
        const canvas = document.createElement("canvas");
        canvas.width = image.width;
        canvas.height = image.height;
        const pen = canvas.getContext("2d", { willReadFrequently: true });
        pen.drawImage(image, 0, 0);
        // Air is left clear, so that a plane hides no more of the scene than the neck does.
        const pixels = pen.getImageData(0, 0, image.width, image.height);
        for (let k = 0; k < pixels.data.length; k += 4) pixels.data[k + 3] = pixels.data[k] > 14 ? 255 : 0;
        pen.putImageData(pixels, 0, 0);
        texture.setCanvas(canvas);
        plane.actor.removeAllTextures();
        plane.actor.addTexture(texture);
        // The picture's first row is its top, a texture's is its bottom.
        const [corner, right, lower] = corners;
        plane.plane.set({ origin: lower, point1: lower.map((v, k) => v + right[k] - corner[k]), point2: corner });
        plane.shown = asked;
        plane.corners = corners;
        this.render();
      }
    } catch (problem) {
      this.report({ plane_failed: String(problem) });
    } finally {
      plane.busy = false;
    }
  }

  cutCenter() {
    const turn = (this.values.turn * Math.PI) / 180;
    const normal = [Math.cos(turn), -Math.sin(turn), 0];
    return { normal, point: this.center.map((v, k) => v + normal[k] * this.values.cut) };
  }

  async sagittal() {
    const shown = this.find("sagittal");
    try {
      const { url, corners } = await this.source.plane(`${this.uprightQuery(0, 0)}&half=56`);
      shown.src = url;
      shown.onload = () => URL.revokeObjectURL(url);
      this.sagittalZ = [corners[0][2], corners[2][2]];
      this.placeLine();
    } catch (problem) {
      this.report({ plane_failed: String(problem) });
    }
  }

  uprightQuery(turn, cut) {
    const at = this.center.map((v) => v.toFixed(1));
    return `upright?x=${at[0]}&y=${at[1]}&z=${at[2]}&turn=${turn}&cut=${cut}`;
  }

  placeLine() {
    if (!this.sagittalZ) return;
    const [top, bottom] = this.sagittalZ;
    const share = (this.info.slice_z[this.values.slice] - top) / (bottom - top);
    this.find("line").style.top = `${100 * Math.min(Math.max(share, 0), 1)}%`;
    this.find("slice-text").textContent = `slice ${this.values.slice} of 0–${this.info.n_slices - 1}`;
    for (const band of this.root.querySelectorAll(".lab3d-band")) band.remove();
    for (const [name, level] of Object.entries(this.info.levels)) {
      if (!level.slices) continue;
      const z = level.slices.map((i) => (this.info.slice_z[i] - top) / (bottom - top));
      const band = document.createElement("span");
      band.className = "lab3d-band";
      band.style.cssText = `top:${100 * z[0]}%;height:${100 * (z[1] - z[0])}%;background:${level.color}`;
      band.title = `${name}, slices ${level.slices[0]}–${level.slices[1]}`;
      this.find("bands").append(band);
    }
  }

  // -- applying values -----------------------------------------------------------------------

  apply() {
    const { shown, values } = this;
    const apart = (piece) => {
      const middle = (piece.bounds[4] + piece.bounds[5]) / 2;
      return (middle - this.center[2]) * values.explode * SceneViewer.APART;
    };
    const offsets = Object.fromEntries(this.vertebrae.map((piece) => [piece.name, apart(piece)]));
    for (const piece of this.pieces) {
      const lift = piece.kind === "rest" ? 0 : offsets[piece.name] ?? 0;
      piece.actor.setPosition(0, 0, lift);
      const visible = piece.kind === "vertebra" || (piece.kind === "rest" ? shown.rest && this.whole && values.explode < 0.02 : this.linesShown());
      piece.actor.setVisibility(visible);
      piece.mapper.removeAllClippingPlanes();
      const open = shown.clip && shown.cut && piece.kind !== "fracture";
      if (open) piece.mapper.addClippingPlane(this.clip);
      // Inner sides are seen only where a surface is cut open; they would double the work.
      piece.actor.getProperty().setBackfaceCulling(!open);
    }
    for (const box of this.boxes) {
      box.actor.setPosition(0, 0, offsets[box.near] ?? 0);
      box.actor.setVisibility(shown[box.kind]);
    }
    const apartNow = values.explode >= 0.02;
    this.planes.axial.actor.setVisibility(shown.axial && !apartNow);
    this.planes.cut.actor.setVisibility(shown.cut && !apartNow);
    if (shown.axial && this.whole) this.hang("axial", `axial?slice=${values.slice}`);
    if (shown.cut) {
      const { normal, point } = this.cutCenter();
      // What lies between the eye and the plane goes; the plane itself stays.
      const eye = this.camera.getPosition().map((v, k) => v - point[k]);
      const side = eye[0] * normal[0] + eye[1] * normal[1] > 0 ? -1 : 1;
      this.clip.setNormal(...normal.map((v) => v * side));
      this.clip.setOrigin(...point);
      this.hang("cut", this.uprightQuery(values.turn, values.cut));
    }
    this.find("names").hidden = !shown.names;
    this.placeLine();
    // One range for both layers, wide enough for all that can be switched on.
    this.renderer.resetCameraClippingRange();
    this.render();
  }

  choose(name, tell = true) {
    this.values.chosen = name;
    const level = this.info.levels[name];
    if (level && level.peak !== null) this.setSlice(level.peak);
    this.recolor();
    if (tell || level) this.report({ chosen: name });
  }

  setSlice(index) {
    this.values.slice = index;
    this.find("slice").value = index;
    this.apply();
  }

  // The camera steps back as far as the neck grows, and comes back with it.
  pullApart(value) {
    const stretch = (1 + SceneViewer.APART * value) / (1 + SceneViewer.APART * this.values.explode);
    const focus = this.camera.getFocalPoint();
    this.camera.setPosition(...this.camera.getPosition().map((v, k) => focus[k] + (v - focus[k]) * stretch));
    this.values.explode = value;
    this.apply();
  }

  setThreshold(value) {
    this.values.threshold = value;
    this.find("threshold").value = value;
    this.recolor();
  }

  // -- drawing -------------------------------------------------------------------------------

  render() {
    if (this.pending || this.gone) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      if (this.gone) return;
      // While it is dragged the interactor draws.
      if (!this.scene.getInteractor().isAnimating()) this.scene.render();
      this.placeNames();
      this.frames += 1;
      if (this.frames === 1) this.watch();
    });
  }

  // The first picture counts once it is finished, not once it was asked for.
  watch() {
    const gl = this.window.getApiSpecificRenderWindow().getContext();
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    const ask = () => {
      if (this.gone || gl.getSyncParameter(fence, gl.SYNC_STATUS) === gl.SIGNALED) return this.tellDrawn();
      setTimeout(ask, 8);
    };
    ask();
  }

  // World to [0, 1] across the view; the renderer's own would set its matrices up for every point.
  projection(aspect) {
    const m = this.camera.getCompositeProjectionMatrix(aspect, -1, 1);
    return (x, y, z) => {
      const w = m[12] * x + m[13] * y + m[14] * z + m[15];
      return [0, 4].map((k) => ((m[k] * x + m[k + 1] * y + m[k + 2] * z + m[k + 3]) / w + 1) / 2);
    };
  }

  placeNames() {
    if (!this.shown.names) return;
    const width = this.canvasBox.clientWidth, height = this.canvasBox.clientHeight;
    const onScreen = this.projection(width / Math.max(height, 1));
    let above = -1e9;
    const placed = [];
    for (const { tag, piece } of this.tags) {
      const lift = piece.actor.getPosition()[2];
      const b = piece.bounds;
      let right = -Infinity;
      for (const [x, y, z] of piece.sample) {
        right = Math.max(right, onScreen(x, y, z + lift)[0]);
      }
      const mid = onScreen((b[0] + b[1]) / 2, (b[2] + b[3]) / 2, (b[4] + b[5]) / 2 + lift);
      placed.push({ tag, x: right * width + 10, y: (1 - mid[1]) * height, inside: mid[1] > 0.01 && mid[1] < 0.99 && right > 0 });
    }
    placed.sort((p, q) => p.y - q.y);
    for (const p of placed) {
      const y = Math.max(p.y, above + 21);
      if (p.inside) above = y;
      p.tag.hidden = !p.inside || y > height - 8;
      p.tag.style.transform = `translate(${Math.min(p.x, width - 42)}px, ${y}px) translateY(-50%)`;
    }
  }

  // -- controls ------------------------------------------------------------------------------

  offer(box) {
    box.disabled = this.info.absent.includes(box.dataset.show);
    box.checked = !box.disabled && this.shown[box.dataset.show];
    box.parentElement.title = box.disabled ? "nothing to show" : "";
  }

  offerColors() {
    for (const choice of this.root.querySelectorAll("[data-color]")) choice.checked = choice.dataset.color === this.values.color;
  }

  wire() {
    this.stop = new AbortController();
    const on = (target, event, action) => target.addEventListener(event, action, { signal: this.stop.signal });
    for (const button of this.root.querySelectorAll("[data-look]")) on(button, "click", () => this.look(button.dataset.look));
    for (const box of this.root.querySelectorAll("[data-show]")) {
      this.offer(box);
      on(box, "change", () => {
        this.shown[box.dataset.show] = box.checked;
        if (box.dataset.show === "clip" && box.checked) this.showCut();
        this.apply();
      });
    }
    this.offerColors();
    for (const choice of this.root.querySelectorAll("[data-color]")) {
      on(choice, "change", () => { this.values.color = choice.dataset.color; this.recolor(); });
    }
    const slider = (name, action, last) => {
      const input = this.find(name);
      if (!input) return {};
      on(input, "input", () => action(Number(input.value)));
      if (last) on(input, "change", () => last(Number(input.value)));
      return input;
    };
    const slices = slider("slice", (v) => { this.values.slice = v; this.apply(); }, (v) => this.report({ slice: v }));
    slices.max = this.info.n_slices - 1;
    slices.value = this.values.slice;
    slider("threshold", (v) => { this.values.threshold = v; this.recolor(); }, (v) => this.report({ threshold: v }))
      .value = this.values.threshold;
    slider("explode", (v) => { this.pullApart(v); });
    for (const name of ["cut", "turn"]) slider(name, (v) => { this.values[name] = v; this.showCut(); this.apply(); });
    on(this.find("sagittal").parentElement, "click", (event) => {
      const box = this.find("sagittal").getBoundingClientRect();
      const [top, bottom] = this.sagittalZ ?? [0, 1];
      const z = top + ((event.clientY - box.top) / box.height) * (bottom - top);
      const near = this.info.slice_z.reduce((best, v, i) => (Math.abs(v - z) < Math.abs(this.info.slice_z[best] - z) ? i : best), 0);
      this.setSlice(near);
      this.report({ slice: near });
    });
    on(this.find("picture"), "click", () => this.save());
    this.pickOnClick(on);
    this.followPointer();
    this.camera.onModified(() => this.render());
  }

  // vtk.js calls a move that comes 200 ms after the last one a start, and turns nothing by it: where
  // a picture takes as long to draw, all of a drag would be lost, and the first step of any other.
  followPointer() {
    const interactor = this.scene.getInteractor();
    const follow = (event) => interactor.getInteractorStyle().handleMouseMove(event);
    const first = interactor.getInteractorStyle().getPriority() + 1;
    interactor.onStartMouseMove(follow);
    for (const button of ["Left", "Middle", "Right"]) interactor[`on${button}ButtonRelease`](follow, first);
  }

  showCut() {
    this.shown.cut = true;
    this.root.querySelector('[data-show="cut"]').checked = true;
  }

  pickOnClick(on) {
    let down = null;
    on(this.canvasBox, "pointerdown", (e) => { down = [e.clientX, e.clientY]; });
    on(this.canvasBox, "pointerup", (e) => {
      if (!down || Math.hypot(e.clientX - down[0], e.clientY - down[1]) > 4) return;
      const box = this.canvasBox.getBoundingClientRect();
      const [width, height] = this.window.getApiSpecificRenderWindow().getSize();
      const name = this.pick(((e.clientX - box.left) / box.width) * width, (1 - (e.clientY - box.top) / box.height) * height);
      if (name) this.choose(name);
    });
  }

  pick(x, y) {
    const picker = this.vtk.Rendering.Core.vtkCellPicker.newInstance();
    picker.setPickFromList(true);
    picker.setTolerance(0);
    picker.initializePickList();
    for (const piece of this.vertebrae) picker.addPickList(piece.actor);
    picker.pick([x, y, 0], this.renderer);
    const actor = picker.getActors()[0] ?? null;
    const hit = picker.getDataSet?.() ?? null;
    const piece = this.vertebrae.find((p) => p.data === hit) ?? this.vertebrae.find((p) => p.actor === actor);
    return piece?.name ?? null;
  }

  async save() {
    const [image] = this.scene.captureImages("image/png");
    const link = document.createElement("a");
    link.href = await image;
    link.download = "spine_3d.png";
    link.click();
  }

  dispose() {
    this.gone = true;
    this.stop.abort();
    this.observer.disconnect();
    cancelAnimationFrame(this.pending);
    cancelAnimationFrame(this.flight);
    this.cube?.setEnabled(false);
    this.window.delete();
  }
}
