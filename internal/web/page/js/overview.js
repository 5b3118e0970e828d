// The first view: how the fleet is, what needs a look, all services, and what
// changed lately.

import { fill, h, keyed, table } from "./dom.js";
import { distrust, get, store, throttled } from "./live.js";
import { because, counted, lever, meter, mode, probed } from "./words.js";
import { instanceTable } from "./instances.js";
import { recordList } from "./history.js";
import { toService } from "./route.js";

const mostProblems = 200; // asked for
const firstProblems = 8; // shown before somebody wants them all

export function overview(root) {
  const hero = h("section", { class: "hero", "aria-label": "Fleet" });
  const problems = instanceTable({ caption: "Instances that need a look", across: true });
  const problemsTitle = h("h2");
  const more = h("button", { class: "quiet", type: "button", hidden: true, click: () => { whole = true; showProblems(); } });
  const problemsBox = h("section", { class: "card", hidden: true }, problemsTitle, problems.el, more);
  let found = [], whole = false;
  function showProblems() {
    problems.show(whole ? found : found.slice(0, firstProblems));
    more.hidden = whole || found.length <= firstProblems;
    more.textContent = `Show all ${found.length}`;
  }
  const services = serviceTable();
  const news = recordList({ most: 30, brief: true });
  root.replaceChildren(hero,
    h("div", { class: "columns" },
      h("div", null, problemsBox, h("section", { class: "card" }, h("h2", null, "Services"), services.el)),
      h("section", { class: "card news", "aria-label": "Latest changes" },
        h("h2", null, "Latest changes", h("a", { href: "#/history", class: "more" }, "all")), news.el)));

  const loadProblems = throttled(1000, async () => {
    try {
      const { instances, total } = await get(`/instances?problems=true&limit=${mostProblems}`);
      problemsBox.hidden = total === 0;
      fill(problemsTitle, total, () => ["Needs a look ", h("span", { class: "muted" }, total > mostProblems ? `${mostProblems} of ${total.toLocaleString()}` : String(total))]);
      found = instances;
      showProblems();
    } catch { /* the notice about the link says it */ }
  });

  return (ids) => {
    if (!store.fleet) return;
    drawHero(hero, store.fleet, distrust());
    const everywhere = store.fleet.gates;
    services.show([...store.services.values()].map((s) => ({ ...s, gates: [...new Set([...everywhere, ...s.gates])] })));
    news.show(store.records, store.recalled);
    problems.draw();
    if (!ids || ids.size) loadProblems();
  };
}

function drawHero(el, f, doubtful) {
  const t = f.totals;
  const { at, staleness_seconds, ...still } = f;
  fill(el, [still, doubtful], () => {
    const bad = t.failing + t.out + t.waiting + t.leaving + t.kept + t.foreign_out;
    const held = f.frozen_until || f.storm || f.doubt;
    const tone = doubtful || !f.synced ? "blind" : bad ? "bad" : t.indeterminate || held || t.flagged ? "blind" : "ok";
    return [
      h("h1", { class: tone }, doubtful ? "Last known: " : null, f.headline),
      h("div", { class: "big" }, meter(probed(t))),
      h("dl", { class: "figures" },
        figure("passing", t.passing, "ok"), figure("failing", t.failing, "bad"), figure("NOT CHECKED", t.indeterminate, "blind"),
        h("div", { class: "rule", role: "presentation" }),
        figure("leaving", t.leaving, "hot"), figure("out", t.out, "bad"), figure("waiting", t.waiting, "cool"),
        figure("kept in", t.kept, "warm"), figure("out by others", t.foreign_out, "bad"), figure("worth watching", t.flagged, "warm"),
        h("div", { class: "rule", role: "presentation" }),
        figure("quarantined", t.quarantined, "bad"), figure("procedures", t.jobs, "cool")),
    ];
  });
}

function figure(name, n, tone) {
  return h("div", { class: n ? tone : "none" }, h("dd", null, n.toLocaleString()), h("dt", null, name));
}

function serviceTable() {
  const { el, body } = table("Services", ["Service", "Probes", { name: "Pass", class: "num" }, { name: "Out", class: "num" }, "Lever", { name: "What withholds removals", class: "wide" }]);
  const empty = h("p", { class: "empty", hidden: true }, "No service is in scope yet.");
  return {
    el: h("div", null, el, empty),
    show(services) {
      keyed(body, services, (s) => s.service_id, row);
      empty.hidden = services.length > 0;
      el.hidden = services.length === 0;
    },
  };
}

function row(s) {
  const t = s.totals;
  const link = h("a", { href: toService(s), class: "id" }, h("span", { class: "muted" }, `${s.namespace}/`), s.service);
  return h("tr", { class: "go", click: (e) => { if (!e.target.closest("a, button") && !String(getSelection())) link.click(); } },
    h("th", { scope: "row" }, link, s.mode === store.fleet?.mode ? null : [" ", mode(s.mode)]),
    h("td", { class: "bar-cell" }, meter(probed(t))),
    h("td", { class: "num" }, `${t.passing}/${t.targets}`),
    h("td", { class: `num${s.out ? " bad-text" : " muted"}`, title: `${s.out} of ${counted(s.n, "instance")} count as out` }, `${s.out}/${s.n}`),
    h("td", null, s.lever === "none" ? h("span", { class: "muted" }, "none") : lever(s.lever)),
    h("td", { class: "wide" }, s.gates.length ? [because(s.gates[0]), s.gates.length > 1 ? h("small", null, `and ${s.gates.length - 1} more`) : null] : h("span", { class: "muted" }, "nothing")));
}
