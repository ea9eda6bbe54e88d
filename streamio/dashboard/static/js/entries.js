// Entries, newest first. They stand still while somebody reads (a line is open, focus is in the table, or it is held): a button tells how many are new.

import { address, get, topic } from "./api.js";
import { columns, pairs } from "./cells.js";
import { byId, limited, options, patch, setAttribute, setText } from "./dom.js";
import { number, seconds } from "./format.js";
import { current, onState, redraw } from "./live.js";
import { fetcher } from "./lists.js";
import { close, openIn, rowOf, showRow } from "./entry_rows.js";
import { limits, matches, selected } from "./view.js";

const kept = { shown: [], came: [], held: false, local: false, force: false, scanned: 0, asked: 0 };
const box = byId("entries-rows");
const filter = byId("entries-filter");

/** A place in the stream as the server takes it: an id, a position, or a local time such as 14:05 or 2026-11-20 14:05. */
export function place(said, now = new Date()) {
  const ago = /^@?-(.+)$/.exec(said.trim());
  if (ago && said.includes("@") && Number.isFinite(seconds(ago[1]))) return String(Math.round(now.getTime() - seconds(ago[1]) * 1000));
  if (/^\d{1,2}:\d{2}(:\d{2})?$/.test(said.trim())) return String(new Date(`${now.toDateString()} ${said.trim()}`).getTime());
  if (/^\d{4}-\d{2}-\d{2}/.test(said.trim())) return String(new Date(said.trim()).getTime());
  return said.trim();
}

const asked = () => ({ type: filter.type.value.trim(), where: filter.where.value.trim(), start: place(filter.start.value), end: place(filter.end.value) });

const look = fetcher({
  seconds: 600,
  ask: () => get("entries", { topic, ...asked(), count: filter.count.value || 50, reverse: true }),
  show: (came) => {
    kept.came = came.entries.map((entry) => ({ entry, pairs: pairs(entry) }));
    kept.scanned = came.scanned;
    draw();
  },
});

const reading = () => kept.held || openIn(box) || (box.contains(document.activeElement) && document.activeElement !== box);

function draw() {
  const known = new Set(kept.shown.map((row) => row.entry.id));
  const fresh = kept.came.filter((row) => !known.has(row.entry.id)).length;
  const hold = reading() && !kept.force && kept.shown.length > 0;
  if (!hold) {
    if (kept.force) close(box);
    Object.assign(kept, { shown: kept.came, force: false });
  }
  const button = byId("entries-new");
  button.hidden = !hold || !fresh;
  setText(button, `${fresh === kept.came.length ? `${fresh} or more` : fresh} new`);
  table();
}

function table() {
  const found = kept.shown.filter(({ entry, pairs: said }) => matches(entry.id, entry.type ?? "", ...said.flat()));
  const items = limited("entries", found, found.length, limits, redraw);
  const names = columns(kept.shown);
  head(names);
  patch(box, items, { key: (row) => row.entry.id, make: () => rowOf(), update: (node, row) => showRow(node, row, names, kept.local) });
  const looked = filter.type.value || filter.where.value ? `, ${number(kept.scanned)} looked at` : "";
  setText(byId("entries-note"), `Newest first${looked}${kept.held ? ", held" : ""}`);
  options(byId("types"), [...new Set([...byId("types").children].map((each) => each.value).concat(kept.shown.map((row) => row.entry.type).filter(Boolean)))].slice(0, 50));
}

function head(names) {
  const cells = byId("entries-table").tHead.rows[0].cells;
  if ([...cells].slice(2, -1).map((each) => each.textContent).join("\n") === names.join("\n")) return;
  const row = byId("entries-table").tHead.rows[0];
  [...cells].slice(2, -1).forEach((each) => each.remove());
  for (const name of names) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    row.lastElementChild.before(cell);
  }
}

function again() {
  kept.force = true;
  kept.asked += 1;
  setAttribute(byId("export"), "href", address("export", { topic, start: place(filter.start.value), end: place(filter.end.value) }));
  if (current()) update(current());
}

function update(state) {
  const each = selected(state);
  if (each) look(`${each.last_generated_id} ${each.length} ${each.first_id} ${kept.asked}`);
  else Object.assign(kept, { came: [], shown: [] });
  if (kept.shown.length || kept.came.length || !each) draw();
}

if (box) {
  onState((state) => state.sample && update(state));
  filter.addEventListener("submit", (event) => (event.preventDefault(), again()));
  filter.addEventListener("reset", () => setTimeout(again));
  byId("entries-new").addEventListener("click", () => {
    kept.force = true;
    draw();
    byId("entries-title").focus({ preventScroll: true });
  });
  byId("entries-pause").addEventListener("click", (event) => {
    kept.held = !kept.held;
    setAttribute(event.target, "aria-pressed", String(kept.held));
    if (!kept.held) kept.force = true;
    draw();
  });
  byId("entries-time").addEventListener("click", (event) => {
    kept.local = !kept.local;
    setAttribute(event.target, "aria-pressed", String(kept.local));
    table();
  });
}
