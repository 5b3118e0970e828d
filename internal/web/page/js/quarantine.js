// What is out because of us: the open entries of the journal.

import { h, keyed, table } from "./dom.js";
import { get, throttled } from "./live.js";
import { because, lever, since } from "./words.js";
import { askRestore } from "./dialogs.js";
import { toInstance } from "./route.js";

export function quarantineView(root) {
  const { el, body } = table("Open journal entries", ["Instance", "Lever", "Phase", { name: "Why", class: "wide" }, { name: "Out for", class: "num" }, ""]);
  const empty = h("p", { class: "empty", hidden: true }, "Nothing is out because of mapwarden.");
  const failed = h("p", { class: "notice bad", hidden: true });
  const all = h("button", { type: "button", hidden: true, click: () => askRestore(null) }, "Ask for the return of all…");
  root.replaceChildren(h("section", { class: "card" },
    h("h1", null, "Out by us"),
    h("p", { class: "muted" }, "Each line is in the journal, with all attributes, before anything is written to the registry. It comes back by itself when it has passed long enough."),
    failed, el, empty, h("p", null, all)));

  const load = throttled(1000, async () => {
    try {
      const { entries } = await get("/quarantine");
      keyed(body, entries, (e) => e.id, row);
      empty.hidden = entries.length > 0;
      el.hidden = entries.length === 0;
      all.hidden = !entries.some((e) => e.is_out);
      failed.hidden = true;
    } catch (error) {
      failed.textContent = `The journal could not be read: ${error.message}.`;
      failed.hidden = false;
    }
  });
  load();
  return (ids) => { if (!ids || ids.size) load(); };
}

function row(e) {
  return h("tr", null,
    h("th", { scope: "row" }, h("a", { class: "id", href: "#", click: (event) => { event.preventDefault(); location.hash = toInstance(e); } }, e.instance),
      h("small", null, `${e.namespace}/${e.service}`, e.address ? ` · ${e.address}` : null)),
    h("td", null, lever(e.kind)),
    h("td", null, h("span", { class: `badge ${e.is_out ? "bad" : "cool"}` }, e.phase)),
    h("td", { class: "wide" }, because(e.reason)),
    h("td", { class: "num" }, since(e.out_since)),
    h("td", null, e.is_out ? h("button", { class: "quiet", type: "button", click: () => askRestore(e) }, "Return…") : null));
}
