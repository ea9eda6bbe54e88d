// The demo's workers and levers: what the state says about them, and what their buttons do.

import { get, post, tell } from "../js/api.js";
import { ask, confirm } from "../js/ask.js";
import { byId, copyOf, el, fill, options, patch, setAttribute, setState, setText } from "../js/dom.js";
import { duration, entries, number } from "../js/format.js";
import { current, onState } from "../js/live.js";
import { WAITING } from "../js/view.js";

const box = byId("demo");
export const key = box.dataset.key;

/** The groups of the demo's stream as the last look saw them. */
export const groupsIn = (state) => state.sample?.topics.find((each) => each.name === key)?.groups ?? [];

/** One group of them. */
export const groupIn = (state, name) => groupsIn(state).find((each) => each.name === name);

const crashCount = () => Math.min(100, Math.max(1, Math.round(Number(byId("crash-n")?.value)) || 3));

/** The workers of a group, then the consumers that the server knows and that are no workers here. */
function rowsOf(state, name) {
  const known = groupIn(state, name)?.consumers ?? [];
  const workers = state.demo.groups[name].map((each) => ({ ...each, seen: known.find((one) => one.name === each.name) }));
  const names = new Set(workers.map((each) => each.name));
  const orphans = known.filter((each) => !names.has(each.name) && each.name !== WAITING);
  return [...workers, ...orphans.map((seen) => ({ name: seen.name, seen, orphan: true, recent: [] }))];
}

const word = (each) => (each.orphan ? "orphaned" : each.paused ? "paused" : each.alive ? (each.seen?.pending ? "busy" : "ok") : "down");
const said = { ok: "works", busy: "works" };

function show(node, each) {
  const pending = each.alive === false ? each.left : each.seen?.pending;
  const state = word(each);
  fill(node, {
    name: each.name,
    state: (cell) => (setState(cell, said[state] ?? state), setAttribute(cell, "data-state", state)),
    will: (cell) => ((cell.hidden = !each.crash_queued), setText(cell, `will drop ${each.crash_queued}`)),
    pending: number(pending ?? 0),
    idle: pending && !each.alive ? duration(each.alive === false ? each.idle : each.seen?.idle) : "–",
    processed: number(each.processed),
    reaped: number(each.reaped),
    crashed: number(each.crashed),
    n: crashCount(),
    verb: each.paused ? "resume" : each.alive === false ? "start again" : "pause",
    recent: (cell) => patch(cell, each.recent, { key: (one) => `${one.id} ${one.what} ${one.deliveries}`, make: () => el("span", { class: "badge" }), update: badge }),
  });
  for (const [name, off] of [["crash", each.orphan || !each.alive], ["pause", each.orphan]]) {
    const button = node.querySelector(`[data-do=${name}]`);
    if (button && button.disabled !== Boolean(off)) button.disabled = Boolean(off);
  }
}

function badge(node, one) {
  setAttribute(node, "data-what", one.what);
  setAttribute(node, "title", `${one.id} ${one.type}`);
  setText(node, one.what);
}

const facts = (group) => (group ? `lag ${number(group.lag)} · pending ${number(group.pending)}` : "");

onState((state) => {
  if (!state.demo) return;
  for (const team of box.querySelectorAll("[data-team]")) {
    const name = team.dataset.team;
    patch(team.querySelector("tbody"), rowsOf(state, name), { key: (each) => `${name} ${each.name}`, make: (each) => rowFor(name, each.name), update: show });
    setText(team.querySelector('[data-cell="facts"]'), facts(groupIn(state, name)));
  }
  const { stats, producer } = state.demo;
  fill(byId("demo-stats"), { produced: number(stats.produced), acked: number(stats.acked), claimed: number(stats.claimed) });
  for (const cell of box.querySelectorAll('[data-cell="flow"]')) setText(cell, producer.paused || !producer.rate ? "Let orders flow" : "Pause the orders");
  for (const cell of box.querySelectorAll('[data-cell="mend"]')) setText(cell, state.demo.spoil.mended ? "Break the handler again" : "Mend the handler");
  const fault = state.demo.fault || (producer.fault && `The producer cannot publish: ${producer.fault}`);
  byId("demo-fault").hidden = !fault;
  setText(byId("demo-fault"), fault);
  const to = box.querySelector('[data-form="claim"] [name="to"]');
  if (to) options(to, Object.entries(state.demo.groups).flatMap(([group, all]) => all.map((each) => [`${group} ${each.name}`, `${each.name} (${group})`])));
});

function rowFor(group, name) {
  const node = copyOf("demo-worker");
  node.dataset.group = group;
  node.dataset.worker = name;
  return node;
}

// -- what buttons do ------------------------------------------------------------------------------------------------------------------

/** Does one of the acts under /api/demo. */
export const act = (name, values = {}) => post(`demo/${name}`, values);

/** Pauses the producer, or lets it go on; a rate of 0 becomes a gentle one. */
export function flow() {
  const { paused, rate } = current().demo.producer;
  return act("producer", paused || !rate ? { paused: false, rate: rate || 2 } : { paused: true });
}

/** Lets the handler of analytics understand commas, or no more. */
export const mend = () => act("mend", { mended: !current().demo.spoil.mended });

/** Reads entries again and lists them. */
export async function replay(values) {
  try {
    const came = await get("demo/replay", values);
    const list = byId("demo-result");
    list.hidden = false;
    list.replaceChildren(el("p", {}, `${came.message}. `, el("code", {}, came.command)), el("ol", {}, ...came.result.entries.map(line)));
    tell(came.message, { command: came.command });
  } catch (error) {
    tell(error.message, { wrong: true });
  }
}

const line = (each) => el("li", {}, el("span", { class: "id" }, each.id), ` ${each.type} `, el("code", {}, Object.entries(each.data).map(([name, value]) => `${name}=${value}`).join(" ")));

/** Asks, and makes everything as at the beginning. */
export async function reset() {
  const length = current().sample?.topics.find((each) => each.name === key)?.length;
  const sure = await confirm("Reset the demo?", [`The stream ${key} (${entries(length ?? 0)}) and what stands beside it are deleted, and all counts become 0. Nothing else is touched.`], "Reset");
  return sure && act("reset");
}

/** Removes a worker, or the record of a consumer without one. */
async function remove(group, worker) {
  if (current().demo.groups[group].some((each) => each.name === worker)) return act("remove-worker", { group, name: worker });
  const heirs = current().demo.groups[group].map((each) => each.name);
  const came = await ask({ title: `Remove ${worker}`, text: ["No worker has this name. What is pending under it goes to another one first."], fields: [{ name: "heir", label: "To", options: heirs }], verb: "Remove", danger: true });
  return came && post("consumer/remove", { topic: key, group, name: worker, heir: came.heir });
}

const levers = {
  crash: (group, worker) => act("crash", { group, worker, count: crashCount() }),
  pause: (group, worker) => {
    const found = current().demo.groups[group].find((each) => each.name === worker);
    return act(found.paused || !found.alive ? "resume" : "pause", { group, worker });
  },
  remove,
};

const forms = {
  add: async (form) => (await act("add-worker", { group: form.dataset.group, name: form.elements.name.value.trim() })) && (form.elements.name.value = ""),
  produce: (form) => act("produce", { count: Number(form.count.value), type: form.type.value }),
  producer: (form) => act("producer", { rate: Number(form.rate.value) }),
  spoil: (form) => act("spoil", { count: Number(form.count.value) }),
  claim: (form) => {
    const [group, ...rest] = form.to.value.split(" ");
    return act("claim", { group, to: rest.join(" "), idle: Number(form.idle.value) });
  },
  replay: (form) => replay({ start: form.start.value.trim(), end: form.end.value.trim(), count: form.count.value }),
  trim,
  reset,
};

/** What a trim would take, per group: what is not acknowledged yet. */
async function foretold(maxlen) {
  const came = await post("demo/trim", { maxlen, preview: true }, { quiet: true });
  const open = (counts) => Object.entries(counts).filter(([, count]) => count).map(([group, count]) => `${number(count)} in ${group}`).join(", ") || "none";
  return came && [`${came.message}.`, `Pending: ${open(came.result.pending)}. Not delivered yet: ${open(came.result.undelivered)}.`];
}

async function trim(form) {
  const maxlen = Number(form.maxlen.value);
  const lines = await foretold(maxlen);
  if (lines && (await confirm(`Trim ${key} to ${entries(maxlen)}?`, lines, "Trim"))) act("trim", { maxlen });
}

box.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  if (button.dataset.do === "preview") {
    const lines = await foretold(Number(button.form.maxlen.value));
    if (lines) tell(lines.join(" "));
    return;
  }
  const row = button.closest("tr");
  levers[button.dataset.do](row.dataset.group, row.dataset.worker);
});

box.addEventListener("submit", (event) => {
  event.preventDefault();
  forms[event.target.dataset.form](event.target);
});

byId("crash-n")?.addEventListener("input", () => box.querySelectorAll('[data-cell="n"]').forEach((cell) => setText(cell, crashCount())));
