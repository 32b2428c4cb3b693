// Every tool and setting by name: its key, what it does, whether it is on.

const tool = (name, key, label) => ({
  name, key, label, group: "Tools", act: ({ look }) => look.setTool(name), on: ({ look }) => look.tool === name,
});
const setting = (name, key, label, act, on, short = label) => ({ name, key, label, short, group: "Display", act, on });
const edit = (name, key, label, act, short) => ({ name, key, label, short, group: "Marks", act });

const COMMANDS = [
  tool("window", "w", "Drag changes the window"),
  tool("pan", "p", "Drag pans"),
  tool("length", "l", "Length"),
  tool("angle", "a", "Angle at the second of three points"),
  tool("cobb", "c", "Cobb angle between two lines"),
  tool("ellipse", "e", "Ellipse: mean, SD, least and highest HU, area"),
  tool("rectangle", "s", "Rectangle: mean, SD, least and highest HU, area"),
  tool("probe", "o", "HU of a point"),
  tool("arrow", "t", "Arrow with a text"),
  tool("box", "b", "Box with a text"),
  edit("undo", "Ctrl+z", "Undo", ({ book }) => book.undo()),
  edit("redo", "Ctrl+y", "Redo", ({ book }) => book.redo()),
  edit("delete", "Delete", "Delete the chosen mark", ({ book }) => book.remove([book.selected])),
  edit("clear", "Shift+Delete", "Delete all marks", ({ book }) => book.remove([...book.marks.keys()]), "All"),
  edit("next", "n", "Go to the next mark", ({ book }) => book.step(1)),
  edit("previous", "Shift+N", "Go to the mark before", ({ book }) => book.step(-1)),
  { ...setting("marks", "x", "Show the marks", ({ look }) => look.set({ showsMarks: !look.showsMarks }), ({ look }) => look.showsMarks, "Show"), group: "Marks" },
  setting("invert", "i", "Invert", ({ look }) => look.invert(), ({ look }) => look.inverted),
  setting("flip-across", "h", "Flip left and right", ({ look }, { kind }) => look.flip(kind, "across"), ({ look, active }) => look.flipOf(active.kind).across),
  setting("flip-down", "v", "Flip up and down", ({ look }, { kind }) => look.flip(kind, "down"), ({ look, active }) => look.flipOf(active.kind).down),
  setting("magnify", "m", "Magnifier", ({ look }) => look.set({ magnifies: !look.magnifies }), ({ look }) => look.magnifies),
  setting("smooth", "u", "Smooth between pixels", ({ look }) => look.set({ smooth: !look.smooth }), ({ look }) => look.smooth, "Smooth"),
  setting("fill", "f", "One pane fills the viewer (double click)", ({ look }, { kind }) => look.fill(kind), ({ look }) => Boolean(look.filled), "One pane"),
  setting("slab", "k", "Slab: off, MIP, MinIP, mean", ({ look }) => look.nextSlab()),
  setting("thinner", "[", "Thinner slab", ({ look }) => look.thicken(-SLAB_MM.step)),
  setting("thicker", "]", "Thicker slab", ({ look }) => look.thicken(SLAB_MM.step)),
  setting("cine", "Space", "Play the slices", ({ cine }, pane) => cine.toggle(pane), ({ cine }) => cine.plays),
  setting("reset", "r", "Show the whole picture in its first window", (viewer, pane) => viewer.look.reset(pane)),
  setting("shot", "g", "Save the panes as a PNG without patient data", (viewer) => saveScreenshot(viewer), undefined, "Save PNG"),
  { name: "help", key: "?", label: "This list", group: "Display", act: ({ help }) => help.toggle() },
];

/** What is not a single command: [keys, what they do], for the list of keys. */
const GESTURES = [
  ["Wheel, arrow keys", "Scroll by one; Page Up and Page Down by ten; Home and End to the ends"],
  ["Drag", "The tool in use; Shift-drag or two fingers pan"],
  ["Pinch, Ctrl-wheel, + and −", "Zoom"],
  ["Click", "Set the crosshair; choose a mark, then drag it or one of its points"],
  ["Double click", "One pane fills the viewer, or all are shown again"],
  ["1 to 5", "Window"],
  ["Arrow keys and Enter, while a tool draws", "Move the cursor (Shift: by ten) and set a point"],
  ["Escape", "Leave the draft, the chosen mark or the tool; else as R"],
];

/** Name of the key of an event, as COMMANDS writes it. */
function keyName({ key, ctrlKey, metaKey, shiftKey }) {
  if (ctrlKey || metaKey) {
    const lower = key.toLowerCase();
    return shiftKey && lower === "z" ? "Ctrl+y" : `Ctrl+${lower}`;
  }
  if (key === " ") return "Space";
  if (key === "Backspace") return "Delete";
  return shiftKey && (key.length > 1 || /[A-Z]/.test(key)) ? `Shift+${key}` : key;
}

function commandOf(event) {
  const name = keyName(event);
  return COMMANDS.find(({ key }) => key === name);
}

const shownKey = (key) => (key.length === 1 ? key.toUpperCase() : key.replace(/\+(.)$/, (_, last) => `+${last.toUpperCase()}`));

/** The list of all keys, over the page. */
class Help {
  constructor(root, signal) {
    this.dialog = root.querySelector("dialog.help");
    this.dialog.addEventListener("click", ({ target }) => target === this.dialog && this.dialog.close(), { signal });
    this.dialog.querySelector(".close").addEventListener("click", () => this.dialog.close(), { signal });
  }

  toggle() {
    if (this.dialog.open) return this.dialog.close();
    this.fill();
    return this.dialog.showModal();
  }

  fill() {
    const body = this.dialog.querySelector(".keys");
    if (body.children.length) return;
    const rows = (title, pairs) => {
      const table = document.createElement("table");
      table.createCaption().textContent = title;
      for (const [keys, meaning] of pairs) {
        const row = table.insertRow();
        row.insertCell().append(Object.assign(document.createElement("kbd"), { textContent: keys }));
        row.insertCell().textContent = meaning;
      }
      return table;
    };
    const groups = [...new Set(COMMANDS.map(({ group }) => group))];
    body.append(rows("Mouse, touch and keys", GESTURES));
    for (const group of groups) {
      body.append(rows(group, COMMANDS.filter((one) => one.group === group).map(({ key, label }) => [shownKey(key), label])));
    }
  }
}
