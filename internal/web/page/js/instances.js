// A table of instances with a filter, good for a thousand of them.

import { fill, h, keyed, table } from "./dom.js";
import { because, counted, outcome, say, sayCause, since, standing } from "./words.js";
import { parse, toInstance, toService } from "./route.js";

const most = 500; // rows drawn at once; the filter narrows

// instanceTable makes a table. Options: caption, and across where it shows
// instances of several services.
export function instanceTable({ caption, across, filtered }) {
  let all = [], total = 0, onlyProblems = false, wanted = "";
  const columns = ["Instance", across ? null : { name: "Address", class: "minor" }, "Latest probe", "Standing", { name: "Why", class: "wide" }, { name: "Registry", class: "minor" }, { name: "Since", class: "num" }].filter(Boolean);
  const { el, body } = table(caption, columns);
  el.classList.add("stack");
  const shown = h("span", { class: "muted", role: "status" });
  const search = h("input", {
    type: "search", placeholder: "Filter: id, address, cause, reason", "aria-label": "Filter instances", "data-filter": true,
    input: () => { wanted = search.value.trim().toLowerCase(); draw(); },
  });
  const box = h("input", { type: "checkbox", change: () => { onlyProblems = box.checked; draw(); } });
  const tools = filtered ? h("div", { class: "tools" }, search, h("label", { class: "check" }, box, "only problems"), shown) : null;
  const empty = h("p", { class: "empty", hidden: true });

  function draw() {
    const terms = wanted.split(/\s+/).filter(Boolean);
    const found = all.filter((i) => (!onlyProblems || i.problem) && terms.every((t) => text(i).includes(t)));
    const open = parse().open;
    keyed(body, found.slice(0, most), (i) => `${i.service_id}/${i.instance}`, (i) => row(i, across));
    for (const r of body.children) r.classList.toggle("open", Boolean(open) && r.dataset.key === `${open.service}/${open.instance}`);
    empty.hidden = found.length > 0;
    empty.textContent = all.length ? "Nothing matches." : "There are no instances.";
    el.hidden = found.length === 0;
    fill(shown, [found.length, all.length, total], () =>
      found.length > most ? `${most} of ${counted(found.length, "instance")} shown: filter to narrow` : `${found.length} of ${counted(total, "instance")}`);
  }

  return {
    el: h("div", null, tools, el, empty),
    show(instances, count) {
      all = instances;
      total = count ?? instances.length;
      draw();
    },
    draw,
  };
}

const text = (i) => `${i.namespace}/${i.service} ${i.instance} ${i.address ?? ""} ${i.outcome === "indeterminate" ? "not checked" : i.outcome} ${i.cause ?? ""} ${sayCause(i.cause)} ${i.standing} ${(i.flags ?? []).join(" ")} ${i.reason ?? ""} ${say(i.reason)} ${i.registry}`.toLowerCase();

function row(i, across) {
  const link = h("a", { href: "#", class: "id", title: i.instance, click: (e) => { e.preventDefault(); location.hash = toInstance(i); } }, i.instance);
  return h("tr", { class: `go${i.problem ? "" : " calm"}`, click: (e) => { if (!e.target.closest("a, button") && !String(getSelection())) link.click(); } },
    h("th", { scope: "row" }, link,
      across ? h("small", null, h("a", { href: toService(i), class: "of" }, `${i.namespace}/${i.service}`), i.address ? ` · ${i.address}` : null) : null),
    across ? null : h("td", { class: "id muted minor" }, i.address),
    h("td", null, outcome(i)),
    h("td", null, standing(i)),
    h("td", { class: "wide" }, i.reason ? because(i.reason) : down(i) ? h("span", { class: "bad-text" }, "It is UNHEALTHY in the registry.") : null),
    h("td", { class: "minor" }, registry(i)),
    h("td", { class: "num" }, since(i.since)));
}

const down = (i) => i.registered && i.registry === "unhealthy";

// registry is what clients of the registry get to see.
function registry(i) {
  if (!i.registered) return h("span", { class: "bad-text" }, "not registered");
  if (down(i)) return h("span", { class: "bad-text" }, "UNHEALTHY");
  return h("span", { class: "muted" }, i.registry === "healthy" ? "healthy" : "registered");
}

