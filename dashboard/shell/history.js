// One action of the user makes one entry of the browser's history. Streamlit makes one for every
// query parameter that a script sets, also for what a page sets by itself.
(() => {
  // A script begins this long after an action at the latest, and this long after the one before it.
  const SOON_MS = 1000;
  // Steps of a slider, of the wheel or of arrow keys within this time are one action.
  const SAME_MOVE_MS = 2000;
  const PRESSED = '[data-testid="stDataFrame"], .js-plotly-plot, button, a, label, [role="option"], [role="radio"], [role="tab"], [role="switch"], [role="checkbox"]';
  const push = history.pushState.bind(history), replace = history.replaceState.bind(history);
  // What the user did last that no entry stands for yet: "press", "move" or null.
  let action = null, over = 0, last = { names: "", at: -Infinity };

  const running = () => {
    const state = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState;
    return Boolean(state) && state !== "notRunning";
  };
  const expire = () => {
    clearTimeout(over);
    if (!running()) over = setTimeout(() => { action = null; }, SOON_MS);
  };
  const act = (kind) => { action = kind; expire(); };
  const target = (event) => event.composedPath()[0];
  addEventListener("click", (event) => act(target(event).closest?.(PRESSED) ? "press" : "move"), true);
  for (const name of ["wheel", "pointerup", "input", "change"]) {
    addEventListener(name, () => { if (action !== "press") act("move"); }, { capture: true, passive: true });
  }
  addEventListener("keydown", (event) => {
    if (["Enter", " "].includes(event.key) || target(event).closest?.('[role="radiogroup"], [role="tablist"]')) act("press");
    else if (action !== "press") act("move");
  }, true);
  addEventListener("popstate", () => { action = null; last = { names: "", at: -Infinity }; }, true);
  new MutationObserver(expire).observe(document, { subtree: true, attributeFilter: ["data-test-script-state"] });

  const changed = (url) => {
    const [old, now] = [new URLSearchParams(location.search), url.searchParams];
    const names = new Set([...old.keys(), ...now.keys()]);
    return [...names].filter((name) => String(old.getAll(name)) !== String(now.getAll(name))).sort().join();
  };
  history.pushState = (state, title, address) => {
    const url = new URL(address, location.href);
    const names = url.pathname === location.pathname ? changed(url) : url.pathname;
    const moved = action === "move" && names === last.names && performance.now() - last.at < SAME_MOVE_MS;
    // Where one is in a series is no step to go back by.
    const scrolled = action === "move" && names === "slice";
    (action && !moved && !scrolled ? push : replace)(state, title, address);
    if (action === "move") last = { names, at: performance.now() };
    else if (action) last = { names: "", at: -Infinity };
    action = null;
  };
})();
