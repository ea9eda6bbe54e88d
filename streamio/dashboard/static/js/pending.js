// Pending entries: whose, idle for how long against the limit from which others may claim them, and what can be done with each.

import { get, post, tell, topic, write } from "./api.js";
import { ask, confirm } from "./ask.js";
import { byId, copyOf, fill, limited, options, patch, setAttribute, setText } from "./dom.js";
import { duration, number, seconds } from "./format.js";
import { current, onState, redraw } from "./live.js";
import { fetcher } from "./lists.js";
import { groupsOf, limits, matches, named, total, WAITING } from "./view.js";

const count = () => Math.min(1000, Math.max(100, limits.get("pending") ?? 0));
const kept = { rows: [], at: 0 };
let signature = "";

const chosen = () => byId("pending-group").value;
const asked = (state) => groupsOf(state).filter((each) => each.pending && (!chosen() || each.name === chosen()));

const look = fetcher({
  seconds: 3,
  ask: () => get("pending", { topic, group: chosen(), idle: seconds(byId("pending-idle").value) || null, count: count() }),
  show: (came) => {
    Object.assign(kept, { rows: came.pending, at: performance.now() });
    draw();
  },
});

function next(entry) {
  if (entry.consumer === WAITING) return entry.due > 0 ? `waits, free in ${duration(entry.due)}` : "free for the next member";
  return entry.due > 0 ? `may be claimed in ${duration(entry.due)}` : "may be claimed now";
}

/** What was told, as it is by now: idle goes on by itself. */
function aged(entry) {
  const since = (performance.now() - kept.at) / 1000;
  return { ...entry, idle: entry.idle + since, due: Math.max(0, (entry.due ?? 0) - since) };
}

function show(node, entry) {
  fill(node, {
    id: entry.id,
    group: entry.group,
    consumer: named(entry.consumer),
    bar: (cell) => {
      setAttribute(cell, "max", Math.max(0.001, entry.idle + entry.due).toFixed(2));
      setAttribute(cell, "value", entry.idle.toFixed(2));
      setAttribute(cell, "data-due", entry.due > 0 ? "later" : "now");
    },
    idle: duration(entry.idle),
    deliveries: number(entry.deliveries),
    next: next(entry),
  });
}

function draw() {
  const state = current();
  if (!state) return;
  const found = kept.rows.map(aged).filter((each) => matches(each.id, each.group, named(each.consumer)));
  const all = total(state, "pending", chosen());
  const whole = found.length === kept.rows.length && !byId("pending-idle").value.trim();
  const items = limited("pending", found, whole ? all : found.length, limits, redraw, kept.rows.length < all);
  patch(byId("pending-rows"), items, { key: (each) => `${each.group} ${each.id}`, make: () => copyOf("row-pending"), update: show });
  setText(byId("pending-note"), all ? `${number(all)} delivered, not acknowledged yet` : "Delivered, not acknowledged yet");
}

onState((state) => {
  if (!byId("pending-rows") || !state.sample) return;
  options(byId("pending-group"), [["", "all"], ...groupsOf(state).map((each) => each.name)]);
  signature = JSON.stringify(asked(state).map((each) => [each.name, each.pending, each.waiting, each.oldest?.id, each.oldest?.deliveries, each.consumers.map((one) => one.pending)]));
  if (!total(state, "pending", chosen())) kept.rows = [];
  else look(`${signature} ${byId("pending-idle").value} ${chosen()} ${count()}`);
  draw();
});

for (const id of ["pending-group", "pending-idle"]) byId(id)?.addEventListener("input", () => ((kept.rows = []), redraw()));

/** Another consumer of the group, chosen in a dialog. */
async function heir(group, id) {
  const consumers = groupsOf(current()).find((each) => each.name === group)?.consumers ?? [];
  const came = await ask({
    title: `Claim ${id}`,
    text: [`Of group ${group} of ${topic}. It goes to this consumer at once, however short it was idle.`],
    fields: [{ name: "to", label: "For consumer", options: consumers.map((each) => each.name), required: true }],
    verb: "Claim",
  });
  return came?.to;
}

const acts = {
  ack: async (group, id) => (await confirm(`Acknowledge ${id}?`, [`Group ${group} of ${topic} will not handle this entry (again): 1 pending entry goes.`], "Acknowledge")) && post("ack", { topic, group, ids: [id] }),
  nack: (group, id) => post("nack", { topic, group, ids: [id] }),
  bury: async (group, id) => {
    const came = await ask({ title: `Bury ${id}?`, text: [`1 pending entry of group ${group} of ${topic} becomes a dead letter; it can be redriven.`], fields: [{ name: "reason", label: "Reason", value: "buried" }], verb: "Bury", danger: true });
    return came && post("bury", { topic, group, ids: [id], reason: came.reason || "buried" });
  },
  claim: async (group, id) => {
    const to = await heir(group, id);
    return to && post("claim", { topic, group, to, ids: [id] });
  },
};

if (write && byId("pending-rows")) {
  byId("pending-rows").addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (!button) return;
    const row = button.closest("tr");
    acts[button.dataset.action](row.querySelector('[data-cell="group"]').textContent, row.querySelector('[data-cell="id"]').textContent);
  });
  document.querySelector('form[data-action="claim"]').addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    if (!form.group.value) return tell("There is no group to claim in.", { wrong: true });
    post("claim", { topic, group: form.group.value, to: form.to.value.trim(), idle: Number(form.idle.value), count: Number(form.count.value) });
  });
}
