// Asking the dashboard's server, and telling what came of an action.

import { byId, el } from "./dom.js";

const body = document.body;
export const root = body.dataset.root;
export const topic = body.dataset.topic;
export const write = body.dataset.write === "yes";

/** An address of the API; parameters that are null or empty are left out. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value != null && value !== "") query.set(name, value);
  return `${root}/api/${path}${query.size ? `?${query}` : ""}`;
}

/** What the server tells; an Error with its sentence where it refuses. */
export async function get(path, parameters) {
  return answer(await fetch(address(path, parameters), { headers: { Accept: "application/json" } }));
}

async function answer(response) {
  const kind = response.headers.get("content-type") ?? "";
  const came = kind.includes("json") ? await response.json() : { error: `${response.status} ${response.statusText}` };
  if (!response.ok || came.ok === false) throw new Error(came.error ?? `${response.status} ${response.statusText}`);
  return came;
}

/** Does an action: gives the answer and shows it, or shows why not and gives null. `quiet` shows only errors. */
export async function post(action, values, { quiet = false } = {}) {
  const slow = setTimeout(() => tell("Working …"), 400);
  try {
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    const came = await answer(await fetch(`${root}/api/${action}`, { method: "POST", headers, body: JSON.stringify(values) }));
    if (quiet) hush();
    else tell(came.message ?? "Done.", { command: came.command });
    return came;
  } catch (error) {
    tell(error.message, { wrong: true });
    return null;
  } finally {
    clearTimeout(slow);
  }
}

let timer = 0;

/** Shows a sentence in the line at the foot of the page, for a while: what was done and the command for it, or what went wrong. */
export function tell(message, { command = null, wrong = false } = {}) {
  const line = byId("result");
  clearTimeout(timer);
  line.dataset.kind = wrong ? "wrong" : "done";
  line.replaceChildren(el("p", {}, message), ...(command ? [el("code", {}, command)] : []), el("button", { type: "button", class: "small", "aria-label": "Close this message", onclick: hush }, "Close"));
  line.hidden = false;
  timer = setTimeout(hush, wrong ? 20000 : 8000);
}

function hush() {
  const line = byId("result");
  if (line.matches(":hover, :focus-within") && line.contains(document.activeElement) === false) timer = setTimeout(hush, 3000);
  else line.hidden = true;
}
