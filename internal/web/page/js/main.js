// Wiring: the address decides the view, the store feeds it.

import { fill, forget, h } from "./dom.js";
import { distrust, silence, store, start, stillness, watch } from "./live.js";
import { because, mode, moment, span, tick } from "./words.js";
import { overview } from "./overview.js";
import { serviceView } from "./service.js";
import { historyView } from "./history.js";
import { quarantineView } from "./quarantine.js";
import { explainPanel } from "./explain.js";
import { askFreeze, askRelease, askUnfreeze } from "./dialogs.js";
import { parse, toClosed } from "./route.js";

const views = { overview, service: serviceView, history: historyView, quarantine: quarantineView };
const el = (id) => document.getElementById(id);
const panel = explainPanel(el("panel"));
let shown = "", update = null;

function route() {
  const r = parse();
  const name = `${r.view} ${r.namespace ?? ""} ${r.service ?? ""}`;
  if (name !== shown) {
    shown = name;
    update = views[r.view](el("view"), r);
    for (const a of document.querySelectorAll("nav [data-view]")) a.toggleAttribute("aria-current", a.dataset.view === r.view);
    document.title = r.view === "service" ? `${r.namespace}/${r.service} · mapwarden` : "mapwarden";
    scrollTo(0, 0);
  }
  if (r.open) panel.show(r.open);
  else panel.hide();
  update(null, []);
}

let spoke = false;

function draw(ids, records) {
  if (store.words && !spoke) {
    spoke = true;
    forget(); // what was drawn before had no sentences; it is drawn anew in its place
    ids = null;
  }
  update(ids, records);
  drawBar();
  drawNotices();
}

function drawBar() {
  const f = store.fleet;
  fill(el("mode"), f?.mode ?? "", () => (f ? mode(f.mode) : null));
  fill(el("link"), store.link, () => [h("i", { class: `lamp ${store.link}`, "aria-hidden": "true" }), { connecting: "connecting", live: "live", polling: "polling", lost: "no answer" }[store.link]]);
  const button = el("freeze");
  button.hidden = !f;
  button.textContent = f?.frozen_until ? "Unfreeze…" : "Freeze…";
}

// drawNotices says first what makes everything else untrustworthy, then what
// holds mapwarden back.
function drawNotices() {
  const f = store.fleet;
  const why = distrust();
  const lost = why === "lost", stuck = why === "stuck";
  const gates = (f?.gates ?? []).filter((g) => g !== "frozen" && g !== "self-doubt" && g !== "storm" && g !== "unsynced");
  const old = lost || stuck ? Math.round((lost ? silence() : stillness()) / 5000) * 5 : 0;
  fill(el("notices"), [lost, stuck, old, store.heard > 0, f?.synced, f?.frozen_until, f?.frozen_by, f?.doubt, f?.storm, f?.retired, gates, Boolean(store.words)], () => {
    const out = [];
    const notice = (tone, title, ...text) => out.push(h("div", { class: `notice ${tone}` }, h("b", null, title), " ", ...text));
    if (lost) notice("bad", "The daemon does not answer.", !store.heard ? "Nothing is known yet." : old ? `What you see is ${span(old)} old.` : "What you see gets old.", " The page keeps trying.");
    if (stuck) notice("bad", "The picture does not move.", `The daemon answers, but what it shows is ${span(old)} old.`);
    if (!f) return out;
    if (f.retired) notice("cool", "mapwarden has left.", "Everything was put back, and it ends.");
    if (f.frozen_until) notice("cool", "Frozen", "until ", moment(f.frozen_until), f.frozen_by ? ` by ${f.frozen_by}` : null, ". Nothing is taken out and nothing is brought back. ", h("button", { type: "button", click: askUnfreeze }, "Unfreeze…"));
    if (f.storm) notice("bad", "Removals are latched off.", because("storm"), " ", h("button", { type: "button", click: askRelease }, "Release…"));
    if (f.doubt) notice("warm", `mapwarden doubts itself (${f.doubt}).`, because("self-doubt"));
    if (!f.synced) notice("warm", "Not ready.", because("unsynced"));
    if (gates.length) out.push(h("div", { class: "notice warm" }, h("b", null, "Removals are withheld everywhere."), h("ul", null, gates.map((g) => h("li", null, because(g))))));
    return out;
  });
}

el("freeze").addEventListener("click", () => (store.fleet?.frozen_until ? askUnfreeze() : askFreeze()));

el("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
});

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  try {
    if (theme) localStorage.setItem("mapwarden.theme", theme);
  } catch { /* a browser that keeps nothing */ }
}

try {
  setTheme(localStorage.getItem("mapwarden.theme"));
} catch { /* a browser that keeps nothing */ }

addEventListener("keydown", (e) => {
  if (el("dialog").open) return;
  const typing = e.target.closest?.("input, select, textarea");
  if (e.key === "Escape" && !el("panel").hidden) location.hash = toClosed();
  if (e.key === "/" && !typing) {
    const filter = document.querySelector("[data-filter]");
    if (filter) {
      e.preventDefault();
      filter.focus();
    }
  }
});

addEventListener("hashchange", route);
watch(draw);
let believed = "";
setInterval(() => {
  tick();
  drawNotices();
  if (distrust() !== believed) update(new Set(), []); // a headline that is no news does not look like one
  believed = distrust();
}, 1000);
route();
start();
