// Uncovers the page once its first texts are there, no placeholder is left and nothing has moved
// for a moment; 2 s after the first text at the latest, for networks may take long.
(() => {
  const root = document.documentElement;
  const [still, longest] = [250, 2000];
  root.classList.add("lab-covered");
  let first = 0;
  let since = 0;
  let before = "";
  const look = () => {
    const now = performance.now();
    const main = document.querySelector('[data-testid="stMain"]');
    const text = main?.querySelector("h1, .lab-call, form, [data-testid=stAlert]");
    if (text) {
      first ||= now;
      const parts = [...main.querySelectorAll('[data-testid="stElementContainer"]')].slice(0, 40);
      const places = parts.map((part) => Math.round(part.getBoundingClientRect().top)).join();
      if (places !== before || main.querySelector('[data-testid="stSkeleton"]')) since = now;
      before = places;
      if (now - since > still || now - first > longest) {
        root.classList.remove("lab-covered");
        return;
      }
    }
    setTimeout(look, 50);
  };
  look();
})();
