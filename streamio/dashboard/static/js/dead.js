// Dead letters: why each was put aside; back to its group, or away for good.

import { get, post, tell, topic, write } from "./api.js";
import { confirm } from "./ask.js";
import { byId, copyOf, fill, limited, options, patch, setText } from "./dom.js";
import { entries, number } from "./format.js";
import { current, onState, redraw } from "./live.js";
import { fetcher } from "./lists.js";
import { groupsOf, limits, matches, total } from "./view.js";

const count = () => Math.min(500, limits.get("dead") ?? 50);
let rows = [];

const chosen = () => byId("dead-group").value;
const asked = (groups) => groups.filter((each) => each.dead && (!chosen() || each.name === chosen())).sort((a, b) => b.dead - a.dead);

const look = fetcher({
  seconds: 20,
  ask: () => get("dead", { topic, group: chosen(), count: count() }),
  show: (came) => {
    rows = came.dead;
    draw();
  },
});

function show(node, letter) {
  node.dataset.id = letter.id;
  const error = node.querySelector("details");
  error.hidden = !letter.error && !letter.traceback;
  fill(node, {
    entry_id: letter.entry_id ?? letter.id,
    type: letter.type ?? "",
    group: letter.group,
    reason: letter.reason,
    error: letter.error || "traceback",
    traceback: letter.traceback || letter.error || "",
    deliveries: number(letter.deliveries),
  });
}

function draw() {
  const state = current();
  if (!state) return;
  const found = rows.filter((each) => matches(each.id, each.entry_id ?? "", each.group, each.reason, each.error ?? ""));
  const all = total(state, "dead", chosen());
  const items = limited("dead", found, found.length === rows.length ? all : found.length, limits, redraw, rows.length < all);
  patch(byId("dead-rows"), items, { key: (each) => `${each.group} ${each.id}`, make: () => copyOf("row-dead"), update: show });
  const button = document.querySelector("button[data-action=redrive-all]");
  if (button) {
    button.hidden = all === 0;
    setText(button, chosen() ? `Redrive all of ${chosen()}` : "Redrive all");
  }
}

onState((state) => {
  if (!byId("dead-rows") || !state.sample) return;
  options(byId("dead-group"), [["", "all"], ...groupsOf(state).map((each) => each.name)]);
  const all = total(state, "dead", chosen());
  if (!all) rows = [];
  else look(JSON.stringify([chosen(), count(), all, asked(groupsOf(state)).map((each) => [each.name, each.dead])]));
  draw();
});

byId("dead-group")?.addEventListener("input", () => ((rows = []), redraw()));

async function redriveAll() {
  const came = await get("groups", { topic, count: 500 }).catch((error) => tell(error.message, { wrong: true }));
  if (!came) return;
  const groups = asked(came.groups); // (the state has the worst only)
  const counts = groups.map((each) => `${each.name}: ${entries(each.dead)}`);
  if (!(await confirm(`Redrive all dead letters of ${topic}?`, ["They go back to their groups and are handled again.", ...counts], "Redrive all"))) return;
  for (const each of groups) await post("redrive", { topic, group: each.name });
}

async function drop(group, id, entry) {
  const sure = await confirm(`Drop the dead letter of ${entry}?`, [`1 dead letter of group ${group} of ${topic} is deleted for good, its payload with it.`], "Drop");
  if (sure) await post("drop", { topic, group, ids: [id] });
}

if (write && byId("dead-rows")) {
  document.querySelector("button[data-action=redrive-all]").addEventListener("click", redriveAll);
  byId("dead-rows").addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (!button) return;
    const row = button.closest("tr");
    const group = row.querySelector('[data-cell="group"]').textContent;
    if (button.dataset.action === "redrive") post("redrive", { topic, group, ids: [row.dataset.id] });
    else drop(group, row.dataset.id, row.querySelector('[data-cell="entry_id"]').textContent);
  });
}
