// The threshold that a hand is moving, for every part of the page that follows it.

/** Event on `window` whenever a threshold is moved; detail: {name, value}. */
const THRESHOLD_MOVED = "cspine:threshold";

/** Thresholds that are ahead of what Python has drawn, by name. Each component is a module of its
 * own, so the window holds what they share. */
const AHEAD = (window[THRESHOLD_MOVED] ??= new Map());

function announceThreshold(name, value) {
  AHEAD.set(name, value);
  markAhead();
  window.dispatchEvent(new CustomEvent(THRESHOLD_MOVED, { detail: { name, value } }));
}

/** Python has drawn the page at this threshold. */
function settleThreshold(name) {
  if (AHEAD.delete(name)) markAhead();
}

/** The style sheet mutes what waits for Python. */
function markAhead() {
  document.documentElement.dataset.ahead = [...AHEAD.keys()].join(" ");
}

function followThresholds(act, signal) {
  window.addEventListener(THRESHOLD_MOVED, ({ detail }) => act(detail.name, detail.value), { signal });
}

/** As Python's format: of two equally near decimals the even one. */
function fixed(value, digits) {
  const exact = Math.abs(value).toFixed(60);
  const [whole, fraction] = exact.split(".");
  const rest = fraction.slice(digits);
  const last = digits ? fraction[digits - 1] : whole.at(-1);
  if (/^50*$/.test(rest) && Number(last) % 2 === 0) {
    const cut = digits ? `${whole}.${fraction.slice(0, digits)}` : whole;
    return value < 0 ? `-${cut}` : cut;
  }
  return value.toFixed(digits);
}

/** Write the first text of an element; only the text node, for React keeps what it has drawn. */
function setText(element, text) {
  const node = document.createTreeWalker(element, NodeFilter.SHOW_TEXT).nextNode();
  if (!node) element.textContent = text;
  else if (node.data !== text) node.data = text;
}
