// Folds the sidebar where it would leave the page too narrow; Streamlit does so below 768 px only.
// What a user chooses in a narrow window counts until the page is loaded again or the window widens.
(() => {
  const NARROW_PX = 1000, KEY = "stSidebarCollapsed-";
  const { getItem, setItem } = Storage.prototype;
  let folded = "true";
  const narrow = (name) => String(name).startsWith(KEY) && innerWidth <= NARROW_PX;
  Storage.prototype.getItem = function (name) { return narrow(name) ? folded : getItem.call(this, name); };
  Storage.prototype.setItem = function (name, value) {
    if (narrow(name)) folded = String(value);
    else setItem.call(this, name, value);
  };
  addEventListener("resize", () => { if (innerWidth > NARROW_PX) folded = "true"; });
  // Another page is chosen: the sidebar has done its work.
  addEventListener("click", (event) => {
    const link = event.target.closest?.('[data-testid="stSidebarNavLink"]');
    if (link && innerWidth <= NARROW_PX) document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
  });
})();
