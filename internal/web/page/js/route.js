// Addresses within the page. They are complete: sent to a colleague they show
// the same thing.

// parse reads the address: the view, its arguments, and the instance whose
// explanation is open.
export function parse() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decode);
  const params = new URLSearchParams(query);
  const open = params.has("instance") ? { service: params.get("of"), instance: params.get("instance") } : null;
  switch (parts[0]) {
    case "service":
      if (parts.length === 3) return { view: "service", namespace: parts[1], service: parts[2], open };
      break;
    case "history":
    case "quarantine":
      return { view: parts[0], open };
  }
  return { view: "overview", open };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const toService = (s) => `#/service/${encodeURIComponent(s.namespace)}/${encodeURIComponent(s.service)}`;

// toInstance opens an explanation over the view that is shown now.
export function toInstance(i) {
  const [path] = location.hash.replace(/^#/, "").split("?");
  return `#${path || "/"}?${new URLSearchParams({ of: i.service_id, instance: i.instance })}`;
}

// toClosed is the view that is shown now, without an explanation.
export const toClosed = () => `#${location.hash.replace(/^#/, "").split("?")[0] || "/"}`;
