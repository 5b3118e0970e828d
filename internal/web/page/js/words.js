// How things are said and shown: times, outcomes, standings, reasons. The
// sentences themselves come from the daemon, which commands use as well.

import { h } from "./dom.js";
import { store, serverNow } from "./live.js";

export const say = (reason) => store.words?.reasons[reason] ?? "";
export const sayCause = (cause) => store.words?.causes[cause] ?? cause ?? "";

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s < 600 && s % 60 ? ` ${s % 60} s` : ""}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h${Math.floor((s % 3600) / 60) ? ` ${Math.floor((s % 3600) / 60)} min` : ""}`;
  return `${Math.floor(s / 86400)} d${Math.floor((s % 86400) / 3600) ? ` ${Math.floor((s % 86400) / 3600)} h` : ""}`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

// moment is a point in time as people read it: the time of day, and the day
// where it is another one. Pointing at it tells the date and UTC.
export function moment(iso) {
  if (!iso) return "–";
  const t = new Date(iso);
  const today = new Date(serverNow()).toDateString() === t.toDateString();
  return h("time", { datetime: iso, title: `${t.toLocaleString()} (${iso})` }, `${today ? "" : `${day.format(t)} `}${clock.format(t)}`);
}

// since is how long ago a point in time was; it keeps counting.
export function since(iso) {
  if (!iso) return "–";
  return h("time", { datetime: iso, "data-since": iso, title: `${new Date(iso).toLocaleString()} (${iso})` }, span((serverNow() - Date.parse(iso)) / 1000));
}

// tick moves all relative times on.
export function tick() {
  const now = serverNow();
  for (const el of document.querySelectorAll("time[data-since]")) {
    const text = span((now - Date.parse(el.dataset.since)) / 1000);
    if (el.textContent !== text) el.textContent = text;
  }
  for (const el of document.querySelectorAll("time[data-until]")) {
    const text = span((Date.parse(el.dataset.until) - now) / 1000);
    if (el.textContent !== text) el.textContent = text;
  }
}

const outcomes = { pass: ["✓", "passes", "ok"], fail: ["✕", "fails", "bad"], indeterminate: ["?", "NOT CHECKED", "blind"] };

// outcome tells what the latest probe found: by sign, word and colour.
export function outcome(instance) {
  const [sign, word, tone] = outcomes[instance.outcome] ?? outcomes.indeterminate;
  return h("span", { class: `outcome ${tone}` }, h("i", { "aria-hidden": "true" }, sign), word,
    instance.cause ? h("small", { title: instance.cause }, sayCause(instance.cause)) : null);
}

const standings = { in: "ok", leaving: "hot", out: "bad", probation: "cool", waiting: "cool", kept: "warm" };

const flags = {
  gray: "It fails now and then.",
  degraded: "It passes, but slower than it used to.",
  draining: "It says itself that it is about to stop.",
  flapping: "It was taken out at least twice within a day.",
};

// standing is a badge; in mode observe it says that it only would be so. What
// else is worth knowing follows in badges of its own.
export function standing(instance) {
  const s = instance.standing;
  const shadow = instance.shadow && s !== "in";
  return [
    h("span", { class: `badge ${standings[s] ?? ""}${shadow ? " shadow" : ""}`, title: `${store.words?.standings[s] ?? ""}${shadow ? " Mode observe: nothing was written." : ""}` },
      shadow ? `would be ${s}` : s),
    (instance.flags ?? []).map((f) => [" ", h("span", { class: "badge warm", title: flags[f] ?? "" }, f)]),
  ];
}

export const code = (reason) => reason ? h("code", { class: "reason", title: say(reason) }, reason) : null;

// because is a reason in full: its sentence, and the word to search for.
export function because(reason) {
  if (!reason) return null;
  return h("span", { class: "because" }, say(reason) || reason, " ", h("code", { class: "reason" }, reason));
}

export const mode = (m) => h("span", { class: `badge mode-${m}`, title: modeSays[m] }, m);
const modeSays = {
  observe: "It watches and records what it would do; it writes nothing.",
  enforce: "It acts: instances that fail are taken out, and brought back.",
  off: "It does not probe.",
};

const levers = { "custom-status": "custom status", quarantine: "quarantine", none: "none" };
export const lever = (l) => levers[l] ?? l;

export const counted = (n, noun) => `${n.toLocaleString()} ${noun}${n === 1 ? "" : "s"}`;

// meter is a bar of parts, with the numbers in words for those who hear it.
export function meter(parts) {
  const total = parts.reduce((n, p) => n + p.n, 0);
  const label = parts.filter((p) => p.n).map((p) => `${p.n} ${p.name}`).join(", ") || "none";
  return h("span", { class: "meter", role: "img", "aria-label": label, title: label },
    parts.filter((p) => p.n).map((p) => {
      const el = h("span", { class: p.tone });
      el.style.flexGrow = String(p.n / total);
      return el;
    }));
}

export const probed = (t) => [
  { n: t.passing, name: "passing", tone: "ok" },
  { n: t.failing, name: "failing", tone: "bad" },
  { n: t.indeterminate, name: "NOT CHECKED", tone: "blind" },
];

// What becomes of an instance: decided, would have been, and not allowed.
const fates = {
  remove: ["is to be taken out.", "would be taken out.", "stays in."],
  "hold-out": ["is to be held out.", "would be held out.", "stays in."],
  return: ["is to come back.", "would come back.", "stays out for now."],
  cancel: ["stays in: its removal is cancelled.", "would stay in.", "goes on leaving."],
  keep: ["stays as it is.", "would stay as it is.", "stays as it is."],
};

const takes = new Set(["remove", "hold-out"]);

// done says what a procedure that ended well has done. One without an action
// is a drill, or the release of a journal entry.
function done(r) {
  const status = r.lever === "custom-status";
  switch (r.action) {
    case "remove": return status ? "was set UNHEALTHY." : "was taken out.";
    case "hold-out": return "is held out until its first pass.";
    case "return": return status ? "was set HEALTHY." : "was put back.";
  }
  return r.lever === "drill" ? "was registered again unchanged, as a rehearsal of its return." : "is settled: its journal entry is closed.";
}

// tell makes a sentence of a record.
export function tell(r) {
  switch (r.kind) {
    case "decision": {
      const [is, would, not] = fates[r.action] ?? fates.keep;
      if (r.admitted && r.shadow) return { tag: "would", tone: "cool", text: would };
      if (r.admitted) return { tag: "decided", tone: r.action === "return" || r.action === "cancel" ? "ok" : "hot", text: is };
      return { tag: "withheld", tone: "warm", text: not };
    }
    case "actuation":
      return r.admitted ? { tag: "done", tone: takes.has(r.action) ? "bad" : "ok", text: done(r) } : { tag: "not done", tone: "warm", text: r.detail };
    case "transition":
      return { tag: r.to, tone: r.to === "healthy" ? "ok" : r.to === "unhealthy" ? "bad" : "blind", text: `${r.from} → ${r.to}${r.to === "unhealthy" && r.fall ? `, after ${counted(r.fails, "failure")}` : ""}` };
    case "command":
      return { tag: "operator", tone: "cool", text: r.detail };
  }
  return { tag: "fleet", tone: r.admitted ? "ok" : "warm", text: r.detail };
}
