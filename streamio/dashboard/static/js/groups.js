// Groups: one row each with its diagnosis and the trend of its lag; create one, move one.

import { get, post, topic, write } from "./api.js";
import { ask } from "./ask.js";
import { byId, copyOf, fill, limited, options, patch, setAttribute, setText } from "./dom.js";
import { age, duration, entries, number, rate } from "./format.js";
import { current, onState, redraw } from "./live.js";
import { fetcher } from "./lists.js";
import { groupsOf, limits, matches, selected, wanted } from "./view.js";

const SAMPLES = 90;
const trends = new Map();

function trend(group) {
  const values = trends.get(group.name) ?? [];
  if (!trends.has(group.name)) {
    trends.set(group.name, values);
    if (trends.size <= 8) before(group.name, values);
  }
  values.push(group.lag ?? 0);
  values.splice(0, values.length - SAMPLES);
}

async function before(name, values) {
  const came = await get("history", { topic, group: name }).catch(() => null);
  if (came) values.unshift(...came.lag.slice(-SAMPLES).map((each) => each ?? 0));
}

/** The points of a line of 90 by 20. */
function points(values) {
  const most = Math.max(1, ...values);
  const step = 90 / Math.max(1, values.length - 1);
  return values.map((value, number) => `${(number * step).toFixed(1)},${(19 - (value / most) * 18).toFixed(1)}`).join(" ");
}

function show(node, group, now) {
  const values = trends.get(group.name) ?? [];
  fill(node, {
    name: group.name,
    state: group.state,
    lag: number(group.lag),
    lag_seconds: duration(group.lag_seconds),
    pending: number(group.pending),
    waiting: number(group.waiting),
    dead: number(group.dead),
    rate_out: rate(group.rate_out),
    consumers: number(group.consumers_total ?? group.consumers.length),
    entries_read: number(group.entries_read),
    last_delivered: (cell) => (setText(cell, age(group.last_delivered_id, now)), setAttribute(cell, "title", group.last_delivered_id)),
    spark: (cell) => setAttribute(cell, "points", points(values)),
    diagnosis: group.diagnosis,
  });
}

// The state has the worst groups only. Where more are wanted, by a filter or by their number, they are asked for.
const more = { groups: [], total: 0 };
const look = fetcher({
  seconds: 600,
  ask: () => get("groups", { topic, match: wanted(), count: Math.min(500, Math.max(50, limits.get("groups") ?? 50)) }),
  show: (came) => {
    Object.assign(more, came);
    draw();
  },
});

function draw() {
  const state = current();
  const few = groupsOf(state);
  const total = selected(state)?.groups_total ?? few.length;
  const asked = total > few.length && (wanted() || (limits.get("groups") ?? 50) > 50);
  const all = asked ? more.groups : few;
  all.forEach(trend);
  for (const name of trends.keys()) if (!all.some((each) => each.name === name)) trends.delete(name);
  const found = asked ? all : all.filter((each) => matches(each.name, each.state, each.diagnosis));
  const items = limited("groups", found, asked ? more.total : found.length === all.length ? total : found.length, limits, redraw, Math.max(few.length, total) > 50);
  patch(byId("groups-rows"), items, { key: (each) => each.name, make: () => copyOf("row-group"), update: (node, each) => show(node, each, state.sample.at) });
  return { asked, total, few };
}

onState((state) => {
  if (!byId("groups-rows") || !state.sample) return;
  const { asked, total, few: all } = draw();
  if (asked) look(`${state.sample.at} ${wanted()} ${limits.get("groups")}`);
  setText(byId("groups-note"), all.length ? `${number(total)} ${total === 1 ? "reads" : "read"} this topic` : "");
  for (const select of document.querySelectorAll("select[data-groups]")) options(select, all.map((each) => each.name));
});

/** Moves a group: asks where to, tells what that means, and asks again. */
async function seek(group) {
  const where = await ask({
    title: `Move group ${group}`,
    text: ["Where shall it go on? At start, end, an id, +100 or -100 entries, or a time such as @-10m."],
    fields: [{ name: "position", label: "Position", value: "start", required: true }],
    verb: "Look what that means",
  });
  if (!where) return;
  const came = await post("group/seek", { topic, group, position: where.position, preview: true }, { quiet: true });
  if (!came) return;
  const { current, target, entries: count, forward } = came.result;
  const effect = forward ? `${entries(count)} would be passed over: the group never gets them.` : `${entries(count)} would be delivered again.`;
  const sure = await ask({
    title: `Move group ${group} of ${topic}?`,
    text: [`It stands at ${current} and goes to ${target}.`, effect],
    fields: [{ name: "force", label: "Where consumers are connected", options: [["", "refuse"], ["yes", "move it all the same"]] }],
    verb: `Move ${group}`,
    danger: true,
  });
  if (sure) await post("group/seek", { topic, group, position: where.position, force: sure.force === "yes" });
}

if (write) {
  byId("groups-rows")?.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action=seek]");
    if (button) seek(button.closest("[data-key]").dataset.key);
  });
  document.querySelector('form[data-action="group/create"]')?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const came = await post("group/create", { topic, group: form.group.value.trim(), start: form.start.value.trim() || "start" });
    if (came) form.group.value = "";
  });
}
