// What an operator may ask for, each with a question first.

import { h } from "./dom.js";
import { post } from "./live.js";

const dialog = document.getElementById("dialog");
const toast = document.getElementById("toast");
let hiding = null;

export function announce(text) {
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { toast.hidden = true; }, 5000);
}

// ask opens a dialog whose button sends what body returns to path.
function ask({ title, text, fields, button, path, body, done, danger }) {
  const failed = h("p", { class: "notice bad", role: "alert", hidden: true });
  const send = h("button", { type: "submit", class: danger ? "danger" : "primary" }, button);
  const form = h("form", {
    method: "dialog",
    submit: async (event) => {
      event.preventDefault();
      send.disabled = true;
      try {
        await post(path, body());
        dialog.close();
        announce(done);
      } catch (error) {
        failed.textContent = `${error.message}${error.hint ? ` (${error.hint})` : ""}`;
        failed.hidden = false;
        send.disabled = false;
      }
    },
  },
    h("h2", { id: "dialog-title" }, title), text.map((t) => h("p", null, t)), fields, failed,
    h("div", { class: "buttons" }, h("button", { type: "button", click: () => dialog.close() }, "Cancel"), send));
  dialog.replaceChildren(form);
  dialog.showModal();
}

export function askFreeze() {
  const time = h("select", { id: "freeze-for" }, [["15m", "15 minutes"], ["1h", "1 hour"], ["4h", "4 hours"], ["12h", "12 hours"], ["24h", "24 hours"], ["72h", "72 hours, the most"]].map(([value, name]) => h("option", { value, selected: value === "1h" }, name)));
  const note = h("input", { id: "freeze-note", type: "text", maxlength: "200", placeholder: "such as the ticket", autocomplete: "off" });
  const pending = h("input", { id: "freeze-pending", type: "checkbox" });
  ask({
    title: "Freeze all changes?",
    text: ["Nothing is taken out and nothing is brought back while a freeze holds. Probing goes on, and what is under way is finished or undone."],
    fields: [
      h("label", { class: "field" }, h("span", null, "For"), time),
      h("label", { class: "field" }, h("span", null, "Note"), note),
      h("label", { class: "check" }, pending, "also take back statuses that Cloud Map has not applied yet"),
    ],
    button: "Freeze", danger: true, path: "/freeze",
    body: () => ({ for: time.value, note: note.value, cancel_pending: pending.checked, by: "operator on the page" }),
    done: "Frozen.",
  });
}

export function askUnfreeze() {
  ask({
    title: "End the freeze?",
    text: ["mapwarden goes on at once. Failures are counted anew, so a removal still takes its full time."],
    button: "Unfreeze", path: "/unfreeze", body: () => ({ by: "operator on the page" }), done: "The freeze has ended.",
  });
}

export function askRelease() {
  ask({
    title: "Release the storm latch?",
    text: ["Removals were latched off because there were too many in a short time. Release them once you understand why."],
    button: "Release", danger: true, path: "/release", body: () => ({ by: "operator on the page" }), done: "Removals are released.",
  });
}

// askRestore asks for the return of one journal entry, or of all.
export function askRestore(entry) {
  ask({
    title: entry ? `Bring ${entry.instance} back?` : "Bring everything back?",
    text: [entry ? "It gets traffic again, whatever its probes say now. If it goes on failing it may be taken out again." : "All that mapwarden took out gets traffic again, whatever its probes say now."],
    button: "Bring back", danger: true, path: "/quarantine/restore",
    body: () => ({ ...(entry ? { service: entry.service_id, instance: entry.instance } : { all: true }), by: "operator on the page" }),
    done: "The return was asked for.",
  });
}
