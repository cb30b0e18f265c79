// Tabs: one of several panels in view. The arrow keys, Home and End move between them.

const $ = (id) => document.getElementById(id);

export function start() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const [place, tab] of tabs.entries()) {
    tab.addEventListener("click", () => show(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const places = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: -1 };
      if (!(key in places)) return;
      const next = tabs.at(places[key] % tabs.length);
      show(next);
      next.focus();
    });
    const link = document.querySelector(`.skips [href="#${tab.getAttribute("aria-controls")}"]`);
    link?.addEventListener("click", () => show(tab));
  }
}

function show(chosen) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const selected = tab === chosen;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !selected;
  }
}
