// What happened: a list of records, newest first.

import { fill, h, keyed } from "./dom.js";
import { get, store } from "./live.js";
import { code, counted, moment, say, sayCause, tell } from "./words.js";
import { toInstance, toService } from "./route.js";

// recordList draws records. Brief lists leave the numbers out.
export function recordList({ most, brief }) {
  const list = h("ol", { class: `records${brief ? " brief" : ""}` });
  const empty = h("p", { class: "empty", hidden: true }, "Nothing has happened yet.");
  const seen = new WeakMap();
  let next = 0;
  const name = (r) => {
    if (!seen.has(r)) seen.set(r, String(next++));
    return seen.get(r);
  };
  return {
    el: h("div", null, list, empty),
    // show draws them; complete is false while older ones are still to come.
    show(records, complete = true) {
      empty.hidden = records.length > 0 || !complete;
      keyed(list, records.slice(0, most), name, (r) => item(r, brief));
    },
  };
}

function item(r, brief) {
  const { tag, tone, text } = tell(r);
  const where = r.instance && r.service_id
    ? h("a", { class: "id", href: "#", click: (e) => { e.preventDefault(); location.hash = toInstance(r); } }, `${r.namespace}/${r.service}/${r.instance}`)
    : r.service ? h("a", { class: "id", href: toService(r) }, `${r.namespace}/${r.service}`) : null;
  const sentence = r.kind === "decision" || r.kind === "fleet" && !text ? say(r.reason) : "";
  return h("li", null,
    h("span", { class: "when" }, moment(r.at)),
    h("span", { class: `tag ${tone}` }, tag),
    h("div", null,
      where, where ? " " : null, h("span", null, text), sentence ? ` ${sentence}` : null, " ", code(r.reason),
      r.shadow ? h("span", { class: "badge shadow", title: "Mode observe: nothing was written." }, "observe") : null,
      !brief && (r.cause || r.n) ? h("small", null, [
        r.cause ? `${sayCause(r.cause)}${r.kind !== "transition" && r.detail && r.kind !== "actuation" ? `: ${r.detail}` : ""}` : null,
        r.n ? `${r.passing} of ${r.ever} pass, ${r.out} of ${r.n} out` : null,
        r.address,
      ].filter(Boolean).join(" · ")) : null));
}

const kinds = [["", "everything"], ["decision", "decisions"], ["actuation", "what was done"], ["transition", "statuses"], ["fleet", "fleet"], ["command", "operators"]];
const loaded = 1000;

export function historyView(root) {
  let kind = "", wanted = "", records = null;
  const list = recordList({ most: loaded });
  const shown = h("span", { class: "muted", role: "status" });
  const search = h("input", { type: "search", placeholder: "Filter: service, instance, reason", "aria-label": "Filter history", "data-filter": true, input: () => { wanted = search.value.trim().toLowerCase(); draw(); } });
  const choice = h("select", { "aria-label": "Kind", change: () => { kind = choice.value; load(); } }, kinds.map(([value, name]) => h("option", { value }, name)));
  const failed = h("p", { class: "notice bad", hidden: true });
  root.replaceChildren(h("section", { class: "card" }, h("h1", null, "History"), h("div", { class: "tools" }, search, choice, shown), failed, list.el));

  function draw() {
    if (!records) return;
    const terms = wanted.split(/\s+/).filter(Boolean);
    const found = records.filter((r) => terms.every((t) => `${r.namespace}/${r.service}/${r.instance} ${r.address ?? ""} ${r.reason ?? ""} ${r.cause ?? ""} ${r.action ?? ""} ${r.detail ?? ""} ${r.kind}`.toLowerCase().includes(t)));
    list.show(found);
    fill(shown, [found.length], () => counted(found.length, "record"));
  }
  async function load() {
    try {
      records = (await get(`/history?limit=${loaded}${kind ? `&kind=${kind}` : ""}`)).records.reverse();
      failed.hidden = true;
    } catch (error) {
      records = store.records.filter((r) => !kind || r.kind === kind);
      failed.textContent = `The history could not be read (${error.message}); this is what the page has seen itself.`;
      failed.hidden = false;
    }
    draw();
  }
  load();
  return (ids, fresh) => {
    if (!records) return;
    if (fresh?.length) records = [...fresh.filter((r) => !kind || r.kind === kind).reverse(), ...records].slice(0, loaded);
    if (fresh?.length || !ids) draw();
  };
}
