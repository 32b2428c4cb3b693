// Streamlit calls this at every rerun with the same element. The scene is built once; a rerun only
// passes values that Python changed, so nothing is sent again and the camera is kept.
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

async function fetched(url, proof, stop) {
  const ask = () => fetch(url, { signal: stop, headers: proof ? { "X-Viewer-Session": proof } : {} });
  let answer = await ask();
  // The server is busy, or this address asks faster than it may: it says when to ask again.
  for (let tries = 0; tries < 5 && answer.headers.get("Retry-After"); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(Number(answer.headers.get("Retry-After")) || 1, 10)));
    answer = await ask();
  }
  if (answer.headers.get("Retry-After")) throw new Error((await answer.text()).trim());
  if (!answer.ok) throw new Error(`${answer.status} for ${url.split("/").pop().split("?")[0]}`);
  return answer;
}

// Surfaces that are still being built are requested until they arrive.
async function made(url, proof, stop) {
  for (;;) {
    const answer = await fetched(url, proof, stop);
    if (answer.status !== 202) return answer;
  }
}

const below = (data) => (path) => new URL(path, new URL(`${data.base}/`, globalThis.location.href)).href;
const values = (data, stop) => made(below(data)(`info/${data.info}`), data.proof, stop).then((a) => a.json());

async function build(root, data, report, stop, arrived) {
  const at = below(data);
  const coming = Promise.all([
    loadVtk(at(data.vtk)),
    made(at(`${data.scene}/parts`), data.proof, stop).then((a) => a.arrayBuffer()),
    values(data, stop),
  ]);
  if (!SceneViewer.drawing().webgl) {
    coming.catch(() => {});
    throw new Error("this browser has no WebGL");
  }
  const [vtk, parts, info] = await coming;
  stop.throwIfAborted();
  arrived();
  info.threshold = data.threshold;
  const plane = async (query) => {
    const answer = await fetched(at(`${data.scene}/${query}`), data.proof, stop);
    const url = URL.createObjectURL(await answer.blob());
    return { url, corners: JSON.parse(answer.headers.get("x-plane-corners")) };
  };
  return new SceneViewer(vtk, root, { parts, info, plane }, report);
}

// A tab in the background draws nothing; a scene built there counts as drawn.
const unseen = (stop) => new Promise((resolve) => {
  const look = () => { if (document.hidden) resolve(); };
  look();
  document.addEventListener("visibilitychange", look, { signal: stop });
});

const MOUNTED = new WeakMap();
export default function (component) {
  const { data, parentElement, setStateValue, setTriggerValue } = component;
  const root = parentElement.querySelector('[data-part="root"]');
  const known = MOUNTED.get(parentElement);
  // If the surfaces arrived too late for the first try, try again.
  const again = known?.late && data.built;
  if (known && known.scene === data.scene && !again) {
    if (known.info !== data.info && known.viewer) {
      known.info = data.info;
      values(data).then((info) => known.info === data.info && known.viewer?.setInfo(info)).catch(() => {});
    }
    if (known.threshold !== data.threshold) {
      known.threshold = data.threshold;
      known.viewer?.setThreshold(data.threshold);
    }
    const [name, serial] = data.wanted;
    if (known.wanted !== serial) {
      known.wanted = serial;
      known.viewer?.choose(name, false);
      setStateValue("chosen", name);
    }
    return known.leave;
  }
  known?.leave();
  if (again) setStateValue("failed", "");
  const busy = root.querySelector('[data-part="busy"]');
  busy.hidden = false;
  busy.textContent = "Fetching the surfaces …";
  const began = performance.now();
  const clock = setInterval(() => {
    const waited = Math.round((performance.now() - began) / 1000);
    if (!data.built && waited) busy.textContent = `Building the surfaces of the vertebrae – ${waited} s, usually 1 to 5 s for a study that was not seen before …`;
  }, 1000);
  const stop = new AbortController();
  let late, refuse;
  const within = (seconds, missing) => {
    clearTimeout(late);
    late = setTimeout(() => {
      mount.late = missing === "surfaces";
      const problem = new Error(`no ${missing} after ${seconds} s`);
      stop.abort(problem);
      refuse(problem);
    }, 1000 * seconds);
  };
  const settle = () => { clearTimeout(late); clearInterval(clock); };
  // What hangs need not be a request that can be aborted, so the limit is a promise of its own.
  const limit = new Promise((_, reject) => { refuse = reject; });
  const draws = () => { clearInterval(clock); within(data.limit_s, "scene"); };
  if (data.built) within(data.limit_s, "scene");
  else within(data.build_limit_s, "surfaces");
  const mount = { scene: data.scene, info: data.info, threshold: data.threshold, wanted: data.wanted[1], late: false, viewer: null };
  const report = (event) => {
    if (event.threshold !== undefined) {
      mount.threshold = event.threshold;
      setStateValue("threshold", event.threshold);
    }
    if (event.chosen) setStateValue("chosen", event.chosen);
  };
  mount.leave = () => {
    settle();
    stop.abort();
    mount.viewer?.dispose();
    for (const part of root.querySelectorAll('[data-part="names"], [data-part="bands"]')) part.replaceChildren();
    MOUNTED.delete(parentElement);
  };
  MOUNTED.set(parentElement, mount);
  const standing = build(root, data, report, stop.signal, draws).then(async (viewer) => {
    if (MOUNTED.get(parentElement) !== mount) return viewer.dispose();
    mount.viewer = viewer;
    root.viewer = viewer;
    if (mount.threshold !== data.threshold) viewer.setThreshold(mount.threshold);
    await Promise.race([viewer.drawn, unseen(stop.signal)]);
    settle();
    if (MOUNTED.get(parentElement) !== mount) return;
    busy.hidden = true;
    root.dataset.ready = data.scene;
    root.dataset.seconds = ((performance.now() - began) / 1000).toFixed(2);
    setStateValue("drawn", data.scene);
  });
  Promise.race([standing, limit]).catch((problem) => {
    settle();
    if (MOUNTED.get(parentElement) !== mount) return;
    mount.viewer?.dispose();
    mount.viewer = null;
    busy.hidden = false;
    busy.textContent = "The scene could not be drawn here.";
    setStateValue("failed", `${data.scene} ${String(problem?.message ?? problem)}`.slice(0, 300));
  });
  return mount.leave;
}
