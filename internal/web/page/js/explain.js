// The panel that says why one instance is in or out.

import { fill, h } from "./dom.js";
import { get } from "./live.js";
import { because, code, counted, lever, outcome, say, since, standing } from "./words.js";
import { recordList } from "./history.js";
import { askRestore } from "./dialogs.js";
import { toClosed, toService } from "./route.js";

const every = 2000;

// explainPanel manages the panel: show opens or changes it, hide closes it.
export function explainPanel(panel) {
  let open = null, timer = null, before = null, stop = null;

  function show(what) {
    if (open && open.service === what.service && open.instance === what.instance) return;
    if (!open) before = document.activeElement;
    hide(true);
    open = what;
    stop = new AbortController();
    const body = h("div", { class: "panel-body" }, h("p", { class: "empty" }, "Asking…"));
    panel.replaceChildren(
      h("header", null, h("div", null, h("small", null, "Why is it in or out?"), h("h2", { class: "id" }, what.instance)),
        h("button", { class: "quiet", type: "button", "aria-label": "Close", click: () => { location.hash = toClosed(); } }, "✕")),
      body);
    panel.hidden = false;
    document.body.classList.add("explaining");
    panel.focus({ preventScroll: true });
    ask(what, body, stop.signal);
  }

  function hide(staying) {
    clearTimeout(timer);
    stop?.abort();
    if (staying || !open) return;
    open = null;
    panel.hidden = true;
    panel.replaceChildren();
    document.body.classList.remove("explaining");
    if (before?.isConnected) before.focus({ preventScroll: true });
  }

  async function ask(what, body, signal) {
    const path = `/instances/${encodeURIComponent(what.service)}/${encodeURIComponent(what.instance)}/explain`;
    try {
      const x = await get(path, signal);
      body.classList.remove("old");
      fill(body, x, () => draw(x));
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404) fill(body, "gone", () => h("p", { class: "empty" }, "The daemon does not know this instance (any more)."));
      else body.classList.add("old");
    }
    if (!signal.aborted) timer = setTimeout(() => ask(what, body, signal), every);
  }

  return { show, hide };
}

function draw(x) {
  const i = x.instance;
  return [
    h("p", { class: "where" }, h("a", { href: toService(i) }, `${i.namespace}/${i.service}`), i.address ? ` · ${i.address}` : null),
    h("div", { class: "lead" }, standing(i), outcome(i)),
    x.because ? h("p", { class: "why" }, x.because, " ", code(i.reason)) : null,
    h("p", { class: "summary" }, sentence(x.summary)),
    h("h3", null, "Latest probes"),
    dots(x.recent),
    h("p", { class: "muted" }, x.fails ? `${x.fails} failed in a row; ${x.fall} make it unhealthy.` : x.passes ? `${x.passes} passed in a row.` : "No conclusive probe yet.",
      x.ever_passed ? null : h("b", null, " It has never passed."), x.last_probe_at ? [" Latest ", since(x.last_probe_at), " ago."] : null),
    x.last_detail ? h("pre", null, x.last_detail) : null,
    x.entry ? entry(x.entry) : null,
    ruling(x),
    h("dl", { class: "facts" },
      fact("Mode", x.mode), fact("Lever", lever(x.lever)), fact("Check", h("code", null, x.check)),
      fact("We say", x.verdict), fact("Registry says", i.registered ? i.registry : "not registered"), fact("Phase", i.phase), x.boot ? fact("Boot", [x.boot, ", since ", since(x.boot_since)]) : null,
      fact("Service", `${x.passing} of ${x.ever} that ever passed pass; ${x.out} of ${x.n} out`)),
    x.votes.length ? [h("h3", null, "Votes"), h("table", { class: "plain" }, h("caption", { class: "heard" }, "Votes"),
      h("tbody", null, x.votes.map((v) => h("tr", null, h("th", { scope: "row" }, v.checker), h("td", null, v.zone ?? ""),
        h("td", null, v.heard ? v.status : "not heard"), h("td", null, v.abstains ? "abstains" : v.cause ?? "")))))] : null,
    h("h3", null, "Attributes"),
    attributes(x.attributes),
    past(i),
  ];
}

const sentence = (s) => (s ? `${s[0].toUpperCase()}${s.slice(1)}.` : "");
const fact = (name, value) => h("div", null, h("dt", null, name), h("dd", null, value));

// dots shows outcomes with the newest at the right; each has a shape of its own.
function dots(recent) {
  const words = { pass: "pass", fail: "fail", indeterminate: "not checked" };
  const runs = [];
  for (const o of recent) {
    if (runs.at(-1)?.o === o) runs.at(-1).n++;
    else runs.push({ o, n: 1 });
  }
  const label = `Newest first: ${runs.map((r) => `${r.n} × ${words[r.o]}`).join(", ")}`;
  return h("div", { class: "dots", role: "img", "aria-label": label, title: label }, recent.toReversed().map((o) => h("span", { class: o })), h("small", null, "now"));
}

// ruling is what the safety rules say of taking it out: the answer where it
// fails and is in, a side matter where it is out already or passes.
function ruling(x) {
  const withholding = x.rules.filter((r) => r.withholds);
  const agreeing = x.rules.filter((r) => !r.withholds);
  const matters = ["kept", "leaving"].includes(x.instance.standing) || (x.instance.outcome !== "pass" && x.instance.standing === "in");
  const rulesOf = (list) => new Set(list.map((r) => r.rule)).size; // a rule may have several conditions
  const summary = withholding.length ? `${counted(rulesOf(withholding), "safety rule")} ${rulesOf(withholding) === 1 ? "withholds" : "withhold"} it` : "No safety rule withholds it";
  if (!matters) return h("details", { class: "aside" }, h("summary", null, `If it were to be taken out now: ${summary.toLowerCase()}`), rules([...withholding, ...agreeing], "Safety rules"));
  return [
    h("h3", null, "Why it is not taken out now"),
    h("p", { class: "muted" }, `${summary}${withholding.length ? ":" : "."}`),
    withholding.length ? rules(withholding, "Rules that withhold") : null,
    agreeing.length ? h("details", null, h("summary", null, `${counted(agreeing.length, "condition")} that would allow it`), rules(agreeing, "Rules that allow it")) : null,
  ];
}

function rules(list, caption) {
  return h("table", { class: "plain rules" }, h("caption", { class: "heard" }, caption),
    h("tbody", null, list.map((r) => h("tr", { class: r.withholds ? "withholds" : "" },
      h("td", { class: "num", title: `Safety rule ${r.rule}` }, r.rule),
      h("td", null, r.withholds ? h("b", { class: "warm-text" }, h("span", { "aria-hidden": "true" }, "⊘ "), h("span", { class: "heard" }, "withholds: ")) : h("span", { class: "ok-text", "aria-hidden": "true" }, "✓ "),
        r.withholds ? (say(r.reason) || r.says) : r.says, " ", code(r.reason))))));
}

function entry(e) {
  return [
    h("h3", null, "In the journal"),
    h("dl", { class: "facts" },
      fact("What", `${lever(e.kind)}, ${e.phase}`), fact("Why", because(e.reason)), e.out_since ? fact("Out for", since(e.out_since)) : null,
      e.operation ? fact("Operation", h("code", null, e.operation)) : null, e.restored ? fact("Restored", "it was out and came back before") : null),
    e.is_out ? h("p", null, h("button", { type: "button", click: () => askRestore(e) }, "Ask for its return…")) : null,
  ];
}

export function attributes(map) {
  return h("table", { class: "plain attributes" }, h("caption", { class: "heard" }, "Attributes"),
    h("tbody", null, Object.entries(map).map(([k, v]) => h("tr", null, h("th", { scope: "row" }, k), h("td", null, v)))));
}

function past(i) {
  const list = recordList({ most: 20 });
  const box = h("div", null, h("h3", null, "Its history"), list.el);
  get(`/history?limit=20&service=${encodeURIComponent(i.service_id)}&instance=${encodeURIComponent(i.instance)}`)
    .then(({ records }) => list.show(records.reverse())).catch(() => { box.hidden = true; });
  return box;
}
