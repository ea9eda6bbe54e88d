// The story: what to look for in each step, which one is next, and what its buttons do.

import { byId, fill, setAttribute, setText } from "../js/dom.js";
import { duration, number } from "../js/format.js";
import { onState } from "../js/live.js";
import { act, flow, groupIn, groupsIn, mend, replay, reset } from "./demo.js";

const steps = [...document.querySelectorAll("#demo .steps li")];
const limit = Number(byId("demo").dataset.claimIdle);
let next = null;

const lags = (state, ...names) => groupsIn(state).filter((each) => names.includes(each.name)).map((each) => `${each.name} ${number(each.lag)}`).join(", ") || "…";

function crashed(demo, worker) {
  if (!worker) return "There is no worker-a any more: add one, or reset the demo.";
  const quiet = demo.producer.paused || !demo.producer.rate;
  if (worker.crash_queued) return `worker-a crashes with its next ${worker.crash_queued} orders in hand${quiet ? ": produce some" : " …"}`;
  return worker.alive ? "worker-a works." : `worker-a is down: ${number(worker.left)} pending under its name.`;
}

function waiting(worker) {
  if (!worker || worker.alive || !worker.left) return "Nothing waits.";
  return worker.idle < limit ? `${number(worker.left)} pending, idle for ${duration(worker.idle)}` : `${number(worker.left)} pending, idle for ${duration(worker.idle)}: they may be claimed`;
}

function takenOver({ story, lease }, worker) {
  if (!story.dropped) return "Nothing was dropped yet.";
  if (!story.lost) return `${number(story.dropped)} dropped, and every one of them was handled all the same.`;
  const rest = worker && !worker.alive && worker.idle ? ` In ${duration(Math.max(0, lease - worker.idle))} a peer takes over by itself.` : "";
  return `${number(story.lost)} of ${number(story.dropped)} dropped orders wait.${rest}`;
}

function poisoned(state) {
  const { queued, failing, mended } = state.demo.spoil;
  const dead = groupIn(state, "analytics")?.dead ?? 0;
  const said = [queued && `${number(queued)} of the next orders will be spoiled`, failing && `${number(failing)} tried again`, dead && `${number(dead)} among the dead letters`].filter(Boolean);
  return `${said.join(", ") || "No order is spoiled"}. The handler ${mended ? "understands commas." : "does not understand commas."}`;
}

/** Whether each of the story's buttons has something to do. */
function useful({ groups }) {
  const of = (group, name) => groups[group].find((each) => each.name === name);
  const [a, c, d] = [of("notifications", "worker-a"), of("analytics", "worker-c"), of("notifications", "worker-d")];
  return { crash: a?.alive && !a.crash_queued, pause: c && !c.paused, resume: c?.paused, add: !d, remove: d };
}

function look(state) {
  const { demo } = state;
  for (const [name, use] of Object.entries(useful(demo))) setAttribute(document.querySelector(`#demo [data-story=${name}]`), "disabled", use ? null : "");
  const a = demo.groups.notifications.find((each) => each.name === "worker-a");
  const down = a && !a.alive ? a : Object.values(demo.groups).flat().find((each) => !each.alive && each.left) ?? a;
  fill(byId("demo"), {
    watch: Object.entries(demo.acked).map(([name, count]) => `${name} ${number(count)}`).join(", "),
    produce: lags(state, "notifications", "analytics"),
    crash: crashed(demo, a),
    wait: waiting(down),
    claim: takenOver(demo, down),
    behind: lags(state, "notifications", "analytics"),
    poison: poisoned(state),
    peers: demo.groups.notifications.map((each) => each.name).join(", "),
  });
  setAttribute(byId("story-idle"), "value", down && !down.alive ? Math.min(limit, down.idle).toFixed(1) : "0");
}

/** Ticks the steps off, and opens the one that is next; what somebody uses just now stays open. */
function tick(state) {
  const done = new Map(state.demo.story.steps.map((each) => [each.key, each.done]));
  for (const item of steps) {
    const yes = done.get(item.dataset.step);
    setAttribute(item, "data-done", yes ? "yes" : "no");
    setText(item.querySelector('[data-cell="word"]'), ` (${yes ? "done" : "to do"})`);
  }
  setText(byId("story-count"), `${[...done.values()].filter(Boolean).length} of ${done.size}`);
  const now = steps.find((item) => !done.get(item.dataset.step)) ?? null;
  if (now === next) return;
  for (const item of steps) {
    const details = item.querySelector("details");
    setAttribute(item, "aria-current", item === now ? "step" : null);
    if (item === now) details.open = true;
    else if (!details.contains(document.activeElement) && !details.matches(":hover")) details.open = false;
  }
  next = now;
}

onState((state) => {
  if (!state.demo) return;
  tick(state);
  look(state);
});

const acts = {
  flow,
  produce: () => act("produce", { count: 300 }),
  crash: () => act("crash", { group: "notifications", worker: "worker-a", count: 3 }),
  claim: () => act("claim", { group: "notifications", to: "worker-b" }),
  pause: () => act("pause", { group: "analytics", worker: "worker-c" }),
  resume: () => act("resume", { group: "analytics", worker: "worker-c" }),
  add: () => act("add-worker", { group: "notifications", name: "worker-d" }),
  remove: () => act("remove-worker", { group: "notifications", name: "worker-d" }),
  spoil: () => act("spoil", { count: 3 }),
  mend,
  redrive: () => act("redrive"),
  replay: () => replay({ count: 20 }),
  reset,
};

for (const button of document.querySelectorAll("#demo [data-story]")) button.addEventListener("click", () => acts[button.dataset.story]());
