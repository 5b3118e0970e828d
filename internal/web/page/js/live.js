// What the daemon shows, kept up to date: by its event stream, or by asking
// again and again where the stream cannot be had.

export const store = {
  fleet: null,
  services: new Map(), // by service id, in the daemon's order
  records: [], // newest first
  recalled: false, // whether records has what happened before the page was opened
  words: null,
  link: "connecting", // live, polling, lost
  heard: 0, // when something was last heard, on the browser's clock
  moved: 0, // when the picture last changed
};

const keep = 300; // records
const pollEvery = 3000;
const quietAfter = 12000; // two signs of life missed

const oldAfter = 15000; // without a word
const stillAfter = 30000; // with words, but the same picture

export const silence = () => Date.now() - store.heard;
export const stillness = () => Date.now() - store.moved;

// distrust is why what is shown may not be true any more: "lost" where the
// daemon does not answer, "stuck" where its picture does not move, or "".
export function distrust() {
  if (store.link === "lost" || (store.heard && silence() > oldAfter)) return "lost";
  return store.fleet && stillness() > stillAfter ? "stuck" : "";
}

let ahead = 0; // the daemon's clock minus the browser's
export const serverNow = () => Date.now() + ahead;

const listeners = new Set();
let changed = new Set();
let fresh = [];
let drawing = false;

// watch calls back after each change: with the ids of the services that
// changed and the records that are new.
export function watch(callback) {
  listeners.add(callback);
}

function notify() {
  if (drawing) return;
  drawing = true;
  setTimeout(() => {
    drawing = false;
    const ids = changed, records = fresh;
    changed = new Set();
    fresh = [];
    for (const callback of listeners) callback(ids, records);
  }, 50);
}

export async function get(path, signal) {
  return answer(await fetch(`/api/v1${path}`, { headers: { Accept: "application/json" }, signal }));
}

export async function post(path, body) {
  return answer(await fetch(`/api/v1${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }));
}

async function answer(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  const error = new Error(body?.error ?? `the daemon answered ${response.status}`);
  error.hint = body?.hint;
  error.status = response.status;
  throw error;
}

function setLink(link) {
  if (store.link === link) return;
  store.link = link;
  notify();
}

function takeFleet(fleet) {
  if (!store.fleet || store.fleet.at !== fleet.at) store.moved = Date.now();
  ahead = Date.parse(fleet.at) - Date.now();
  store.fleet = fleet;
  store.heard = Date.now();
}

function takeServices(list, whole) {
  if (whole) {
    const seen = new Set(list.map((s) => s.service_id));
    for (const id of store.services.keys()) if (!seen.has(id)) changed.add(id);
  }
  const all = whole ? new Map() : new Map(store.services);
  for (const s of list) {
    all.set(s.service_id, s);
    changed.add(s.service_id);
  }
  store.services = new Map([...all].sort(([, a], [, b]) => compare(a.namespace, b.namespace) || compare(a.service, b.service)));
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function takeRecord(record) {
  store.records.unshift(record);
  store.records.length = Math.min(store.records.length, keep);
  fresh.push(record);
}

async function loadHistory() {
  const { records } = await get(`/history?limit=${keep}`);
  store.records = records.reverse();
  store.recalled = true;
  notify();
}

async function poll() {
  try {
    const [fleet, services] = await Promise.all([get("/fleet"), get("/services")]);
    takeFleet(fleet);
    takeServices(services.services, true);
    setLink("polling");
    notify();
    await loadHistory().catch(() => {});
  } catch {
    setLink("lost");
  }
}

let source = null;
let poller = null;

function stream() {
  source?.close();
  source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => {
    clearInterval(poller);
    poller = null;
    loadHistory().catch(() => {});
  });
  source.addEventListener("snapshot", (event) => {
    const change = JSON.parse(event.data);
    takeFleet(change.fleet);
    takeServices(change.services, change.whole);
    for (const id of change.gone) {
      store.services.delete(id);
      changed.add(id);
    }
    store.link = "live";
    notify();
  });
  source.addEventListener("record", (event) => {
    takeRecord(JSON.parse(event.data));
    notify();
  });
  source.addEventListener("alive", () => {
    store.heard = Date.now();
  });
  source.addEventListener("error", fallBack);
}

function fallBack() {
  if (poller) return;
  poll();
  poller = setInterval(poll, pollEvery);
  if (source?.readyState === EventSource.CLOSED) setTimeout(stream, 10000); // refused: the browser does not try again by itself
}

// start begins to listen. It never ends: a daemon that went comes back.
export async function start() {
  stream();
  setInterval(() => {
    if (store.link === "live" && Date.now() - store.heard > quietAfter) {
      fallBack();
      stream();
    }
  }, 5000);
  while (!store.words) {
    try {
      store.words = await get("/words");
      notify();
    } catch {
      await new Promise((wake) => setTimeout(wake, 2000));
    }
  }
}

// throttled runs task now, or once more when the time since the last run has
// passed: however often it is asked for.
export function throttled(every, task) {
  let last = 0, timer = null, running = false;
  const run = async () => {
    timer = null;
    if (running) {
      timer = setTimeout(run, every);
      return;
    }
    running = true;
    last = Date.now();
    try {
      await task();
    } finally {
      running = false;
    }
  };
  return () => {
    timer ??= setTimeout(run, Math.max(0, last + every - Date.now()));
  };
}
