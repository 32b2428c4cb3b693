// One threshold by name; what follows it listens to `THRESHOLD_MOVED`.

const MOUNTED = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".sliders");
  let sliders = MOUNTED.get(root);
  if (!sliders) {
    sliders = new Sliders(root);
    MOUNTED.set(root, sliders);
    root.sliders = sliders;
  }
  const { name } = data;
  sliders.update(data, {
    drawn: ([value], ahead) => (ahead ? announceThreshold(name, value) : settleThreshold(name)),
    released: ([value], serial) => setStateValue("moved", { value, serial }),
  });
  return () => {
    sliders.close();
    settleThreshold(name);
    MOUNTED.delete(root);
    delete root.sliders;
  };
}
