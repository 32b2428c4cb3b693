// Streamlit calls this at every rerun with the same element. The scene is built once; a rerun only
// hands over values that Python changed, so nothing is sent again and the camera stays.
const LOADING = {};
function loadVtk(url) {
  LOADING[url] ??= new Promise((resolve, reject) => {
    if (globalThis.vtk?.Rendering?.Core) return resolve(globalThis.vtk);
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => (globalThis.vtk ? resolve(globalThis.vtk) : reject(new Error("vtk.js did not start")));
    script.onerror = () => { delete LOADING[url]; reject(new Error("vtk.js could not be fetched")); };
    document.head.append(script);
  });
  return LOADING[url];
}

async function fetched(url, stop) {
  const answer = await fetch(url, { signal: stop });
  if (!answer.ok) throw new Error(`${answer.status} for ${url.split("/").pop().split("?")[0]}`);
  return answer;
}

function hasWebGL() {
  try {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
}

const below = (data) => (path) => new URL(path, new URL(`${data.base}/`, globalThis.location.href)).href;
const said = (data, stop) => fetched(below(data)(`info/${data.info}`), stop).then((a) => a.json());

async function build(root, data, report, stop) {
  if (!hasWebGL()) throw new Error("this browser has no WebGL");
  const at = below(data);
  const [vtk, parts, info] = await Promise.all([
    loadVtk(at("vtk.js")),
    fetched(at(`${data.scene}/parts`), stop).then((a) => a.arrayBuffer()),
    said(data, stop),
  ]);
  info.threshold = data.threshold;
  const plane = async (query) => {
    const answer = await fetched(at(`${data.scene}/${query}`), stop);
    const url = URL.createObjectURL(await answer.blob());
    return { url, corners: JSON.parse(answer.headers.get("x-plane-corners")) };
  };
  return new SceneViewer(vtk, root, { parts, info, plane }, report);
}

const MOUNTED = new WeakMap();
export default function (component) {
  const { data, parentElement, setStateValue, setTriggerValue } = component;
  const root = parentElement.querySelector('[data-part="root"]');
  const known = MOUNTED.get(parentElement);
  if (known && known.scene === data.scene) {
    if (known.info !== data.info && known.viewer) {
      known.info = data.info;
      said(data).then((info) => known.info === data.info && known.viewer?.setInfo(info)).catch(() => {});
    }
    if (known.threshold !== data.threshold) {
      known.threshold = data.threshold;
      known.viewer?.setThreshold(data.threshold);
    }
    return known.leave;
  }
  known?.leave();
  const busy = root.querySelector('[data-part="busy"]');
  busy.hidden = false;
  const stop = new AbortController();
  const late = setTimeout(() => stop.abort(new Error(`no scene after ${data.limit_s} s`)), 1000 * data.limit_s);
  const mount = { scene: data.scene, info: data.info, threshold: data.threshold, viewer: null };
  const report = (event) => {
    if (event.threshold !== undefined) {
      mount.threshold = event.threshold;
      setStateValue("threshold", event.threshold);
    }
    if (event.chosen) setStateValue("chosen", event.chosen);
  };
  mount.leave = () => {
    clearTimeout(late);
    stop.abort();
    mount.viewer?.dispose();
    for (const part of root.querySelectorAll('[data-part="names"], [data-part="bands"]')) part.replaceChildren();
    MOUNTED.delete(parentElement);
  };
  MOUNTED.set(parentElement, mount);
  const began = performance.now();
  build(root, data, report, stop.signal).then((viewer) => {
    clearTimeout(late);
    if (MOUNTED.get(parentElement) !== mount) return viewer.dispose();
    mount.viewer = viewer;
    busy.hidden = true;
    root.dataset.ready = data.scene;
    if (mount.threshold !== data.threshold) viewer.setThreshold(mount.threshold);
    root.dataset.seconds = ((performance.now() - began) / 1000).toFixed(2);
    root.viewer = viewer;
    setStateValue("drawn", data.scene);
  }).catch((problem) => {
    clearTimeout(late);
    if (MOUNTED.get(parentElement) !== mount) return;
    busy.textContent = "The scene could not be drawn here.";
    setStateValue("failed", `${data.scene} ${String(problem?.message ?? problem)}`.slice(0, 300));
  });
  return mount.leave;
}
