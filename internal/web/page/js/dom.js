// The little that is needed to draw: elements are made by h, never from HTML
// text, so that nothing that a registry says can become markup.

// h makes an element. Attributes that are null, undefined or false are left
// out; functions become listeners; children may be nested.
export function h(tag, attributes, ...children) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") el.addEventListener(key, value);
    else el.setAttribute(key, value === true ? "" : value);
  }
  add(el, children);
  return el;
}

function add(el, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(el, child);
    else el.append(child);
  }
}

let drawn = new WeakMap();

// forget lets everything be drawn anew.
export function forget() {
  drawn = new WeakMap();
}

// fill draws el anew, but only where what it is drawn from has changed: focus,
// selection and scrolling stay where nothing did.
export function fill(el, from, draw) {
  const signature = JSON.stringify(from) ?? "";
  if (drawn.get(el) === signature) return;
  drawn.set(el, signature);
  el.replaceChildren();
  add(el, [draw()]);
}

// keyed makes the rows of a table body match items, in their order. A row is
// made anew only where its item changed.
export function keyed(body, items, key, make) {
  const old = new Map();
  for (const row of body.children) old.set(row.dataset.key, row);
  let at = body.firstElementChild;
  for (const item of items) {
    const k = key(item);
    const signature = JSON.stringify(item);
    let row = old.get(k);
    old.delete(k);
    if (!row || drawn.get(row) !== signature) {
      const fresh = make(item);
      fresh.dataset.key = k;
      drawn.set(fresh, signature);
      if (row) {
        const focused = row.contains(document.activeElement);
        if (row === at) at = at.nextElementSibling;
        row.remove();
        body.insertBefore(fresh, at);
        if (focused) fresh.querySelector("a, button")?.focus();
      } else {
        body.insertBefore(fresh, at);
      }
      continue;
    }
    if (row === at) at = at.nextElementSibling;
    else body.insertBefore(row, at);
  }
  for (const row of old.values()) row.remove();
}

// table makes a table with a caption for those who hear it.
export function table(caption, columns) {
  const body = h("tbody");
  const el = h("div", { class: "scroll" },
    h("table", null,
      h("caption", { class: "heard" }, caption),
      h("thead", null, h("tr", null, columns.map((c) => h("th", { scope: "col", class: c.class }, c.name ?? c)))),
      body));
  return { el, body };
}
