// One entry's row: its fields, its JSON on demand, its id and its trace to take along.

import { get, tell, topic } from "./api.js";
import { traceOf } from "./cells.js";
import { byId, copyOf, el, fill, setAttribute, setText } from "./dom.js";
import { clock, millis } from "./format.js";

const kept = new WeakMap();
const traceUrl = document.body.dataset.traceUrl;

/** A new row. */
export const rowOf = () => copyOf("row-entry");

/** Fills the row in: fields under the columns' names, the id as it is or as local time. */
export function showRow(node, row, names, local) {
  const { entry } = row;
  const now = kept.get(node);
  kept.set(node, row);
  fill(node, { id: entry.id, type: entry.type ?? "" });
  const id = node.querySelector("th [data-cell=id]");
  const at = clock(millis(entry.id), true);
  setText(id, local ? at : entry.id);
  setAttribute(id, "title", local ? entry.id : at);
  if (now?.entry.id === entry.id && node.dataset.names === names.join("\n")) return;
  node.dataset.names = names.join("\n");
  while (node.cells.length > 3) node.cells[2].remove();
  const said = new Map();
  for (const [name, value] of row.pairs) said.set(name, said.has(name) ? `${said.get(name)}, ${value}` : value);
  for (const name of names) node.lastElementChild.before(el("td", { class: "value", title: said.get(name) ?? null }, said.get(name) ?? ""));
  node.querySelector("[data-do=trace]").hidden = traceOf(entry) === null;
}

/** Whether an entry's JSON is open in the table. */
export const openIn = (box) => box.querySelector("tr.json") !== null;

/** Closes what is open. */
export function close(box) {
  for (const each of box.querySelectorAll("tr.json")) each.remove();
  for (const each of box.querySelectorAll("[aria-expanded=true]")) each.setAttribute("aria-expanded", "false");
}

/** The whole entry as JSON: fields as they are; JSON in a field `data` is opened up. */
export function pretty(entry) {
  const { id, ts, type, headers, fields } = entry;
  const opened = Array.isArray(fields) ? fields : Object.fromEntries(Object.entries(fields ?? {}).map(([name, value]) => [name, name === "data" ? inside(value) : value]));
  return JSON.stringify({ id, ts, type, headers, fields: opened }, null, 2);
}

function inside(value) {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function toggle(button, entry) {
  const tr = button.closest("tr");
  const open = tr.nextElementSibling?.classList.contains("json");
  button.setAttribute("aria-expanded", String(!open));
  if (open) return tr.nextElementSibling.remove();
  const pre = el("pre", { tabindex: "0" }, pretty(entry));
  tr.after(el("tr", { class: "json" }, el("td", { colspan: tr.cells.length }, pre)));
  const cut = Object.keys(entry.cut ?? {}).length || entry.fields_left_out;
  if (cut) pre.after(el("button", { type: "button", class: "small", onclick: (event) => whole(event.target, pre, entry.id) }, "Long values are cut here: get all of it"));
}

async function whole(button, pre, id) {
  try {
    const came = await get("entries", { topic, start: id, end: id, full: true, count: 1 });
    if (came.entries.length) pre.textContent = pretty(came.entries[0]);
    button.remove();
  } catch (error) {
    tell(error.message, { wrong: true });
  }
}

async function copy(value, what) {
  try {
    await navigator.clipboard.writeText(value);
    tell(`Copied ${what} ${value}`);
  } catch {
    tell(`${what}: ${value}`); // no clipboard here (no https): it stands in the line to be selected
  }
}

function trace(entry) {
  const id = traceOf(entry);
  if (traceUrl) open(traceUrl.replace("{trace_id}", encodeURIComponent(id)), "_blank", "noopener");
  else copy(id, "trace");
}

/** The entry of a row; a row of the snapshot, which came without it, is asked for. */
async function entryOf(tr) {
  if (kept.has(tr)) return kept.get(tr).entry;
  const came = await get("entries", { topic, start: tr.dataset.key, end: tr.dataset.key, count: 1 });
  if (!came.entries.length) throw new Error("This entry is gone.");
  return came.entries[0];
}

byId("entries-rows")?.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  try {
    const entry = await entryOf(button.closest("tr"));
    if (button.dataset.do === "json") toggle(button, entry);
    else if (button.dataset.do === "copy") copy(entry.id, "id");
    else trace(entry);
  } catch (error) {
    tell(error.message, { wrong: true });
  }
});
