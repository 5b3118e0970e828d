// One service: its numbers, what withholds removals in it, its instances and
// its history.

import { fill, h } from "./dom.js";
import { get, store, throttled } from "./live.js";
import { because, lever, meter, mode, probed, since } from "./words.js";
import { instanceTable } from "./instances.js";
import { recordList } from "./history.js";

export function serviceView(root, { namespace, service }) {
  const name = `${namespace}/${service}`;
  const head = h("section", { class: "hero", "aria-label": "Service" });
  const instances = instanceTable({ caption: `Instances of ${name}`, filtered: true });
  const news = recordList({ most: 50, brief: true });
  const missing = h("p", { class: "empty", hidden: true }, `There is no service ${name} in scope.`);
  root.replaceChildren(head, missing,
    h("section", { class: "card" }, h("h2", null, "Instances"), instances.el),
    h("section", { class: "card" }, h("h2", null, "Latest changes"), news.el));

  const find = () => [...store.services.values()].find((s) => s.namespace === namespace && s.service === service);
  const load = throttled(1000, async () => {
    try {
      const { instances: list, total } = await get(`/instances?service=${encodeURIComponent(name)}`);
      instances.show(list, total);
    } catch { /* the notice about the link says it */ }
  });
  let records = null;
  get(`/history?limit=50&service=${encodeURIComponent(name)}`).then((h) => { records = h.records.reverse(); news.show(records); }).catch(() => {});

  return (ids, fresh) => {
    const s = find();
    missing.hidden = Boolean(s) || !store.fleet;
    head.hidden = !s;
    if (s) drawHead(head, s);
    instances.draw();
    const mine = (fresh ?? []).filter((r) => r.namespace === namespace && r.service === service);
    if (mine.length) records = [...mine.reverse(), ...(records ?? [])].slice(0, 50);
    if (records && (mine.length || !ids)) news.show(records);
    if (s && (!ids || ids.has(s.service_id))) load();
  };
}

function drawHead(el, s) {
  fill(el, s, () => [
    h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: "#/" }, "Services"), " / ", s.namespace),
    h("h1", null, s.service, " ", mode(s.mode)),
    h("div", { class: "big" }, meter(probed(s.totals))),
    h("dl", { class: "facts" },
      fact("Passing", `${s.totals.passing} of ${s.totals.targets}`),
      fact("Out", `${s.out} of ${s.n}`, "Counts everything that does not serve, whoever took it out."),
      fact("Fail-open line", s.past_line ? h("b", { class: "bad-text" }, "past it: removals are off") : s.ever ? "above it" : "nobody ever passed", "Where too few of those that ever passed pass now, it is not the instance."),
      fact("Lever", s.no_lever ? because(s.no_lever) : lever(s.lever)),
      fact("Check", [h("code", null, s.check), s.check_armed ? " proven" : h("b", { class: "warm-text" }, " not proven yet")]),
      fact("Listed", s.listed_at ? [since(s.listed_at), " ago"] : "never"),
      fact("Service id", h("code", null, s.service_id))),
    s.gates.length ? h("div", { class: "notice warm" }, h("b", null, "Removals are withheld here."), h("ul", null, s.gates.map((g) => h("li", null, because(g))))) : null,
  ]);
}

const fact = (name, value, title) => h("div", { title }, h("dt", null, name), h("dd", null, value));
