// The one connection for events, and when the page shows them: at the chosen interval, not while paused, and saying so when they stop coming.

import { byId, setAttribute, setText } from "./dom.js";
import { root } from "./api.js";
import { clock, duration, sum } from "./format.js";

const HIDDEN = 30; // seconds that a tab may be hidden before it lets go of its connection
const listeners = new Set();
const loggers = new Set();
const view = { state: null, shown: null, paused: false, every: 0, last: 0, timer: 0, failed: 0, source: null, hidden: 0, heard: 0 };

/** Calls the function with each state that is to be shown: the answer of /api/state. */
export const onState = (listener) => listeners.add(listener);

/** Calls the function with each action that was done from a dashboard. */
export const onLog = (listener) => loggers.add(listener);

/** The state that is shown now; null before the first. */
export const current = () => view.shown;

/** Shows the same again: a filter or a limit has changed. */
export function redraw() {
  if (view.shown) for (const listener of listeners) listener(view.shown);
}

function show() {
  clearTimeout(view.timer);
  view.timer = 0;
  view.last = performance.now();
  view.shown = view.state;
  redraw();
  tellLive();
}

function came(event) {
  view.state = JSON.parse(event.data);
  view.failed = 0;
  view.heard = performance.now();
  tellStale();
  if (view.paused) return;
  const wait = view.every * 1000 - (performance.now() - view.last);
  if (wait <= 50) show();
  else if (!view.timer) view.timer = setTimeout(show, wait);
}

function lost() {
  view.failed ||= Date.now();
  tellStale();
  if (view.source?.readyState === EventSource.CLOSED) {
    view.source = null;
    setTimeout(connect, 2000);
  }
}

function connect() {
  if (view.source || document.hidden) return;
  const source = new EventSource(`${root}/api/events`);
  source.addEventListener("state", came);
  source.addEventListener("log", (event) => loggers.forEach((listener) => listener(JSON.parse(event.data))));
  source.addEventListener("error", lost);
  view.source = source;
}

function disconnect() {
  view.source?.close();
  view.source = null;
}

/** The banner: since when what is shown is old, and why. */
function tellStale() {
  const banner = byId("banner");
  const state = view.state ?? view.shown;
  const since = view.failed || (state?.stale ? (state.stale_since ?? Date.now() / 1000) * 1000 : 0);
  banner.hidden = !since;
  if (since) {
    const why = view.failed ? "The dashboard does not answer" : `Redis does not answer${state.reason ? ` (${state.reason})` : ""}`;
    setText(banner, `Stale since ${clock(since)}: ${why}. What you see is what was seen last; it goes on by itself.`);
  }
  tellLive();
}

function tellLive() {
  const stale = !byId("banner").hidden;
  const word = view.paused ? "paused" : stale ? "stale" : "live";
  const at = view.shown?.sample?.at;
  setAttribute(byId("live"), "data-live", word);
  setText(byId("live"), at ? `${word} ${clock(at * 1000)}` : word);
}

/** Stops or goes on showing changes. */
export function pause(paused = !view.paused) {
  view.paused = paused;
  const button = byId("pause");
  setAttribute(button, "aria-pressed", String(paused));
  setText(button, paused ? "Resume" : "Pause");
  clearTimeout(view.timer);
  view.timer = 0;
  if (!paused && view.state) show();
  else tellLive();
}

/** Whether the page stands still. */
export const paused = () => view.paused;

function away() {
  clearTimeout(view.hidden);
  if (document.hidden) view.hidden = setTimeout(disconnect, HIDDEN * 1000);
  else connect();
}

/** Begins to listen. */
export function start() {
  byId("pause").addEventListener("click", () => pause());
  byId("every").addEventListener("change", (event) => (view.every = Number(event.target.value)));
  view.every = Number(byId("every").value);
  document.addEventListener("visibilitychange", away);
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", connect);
  connect();
  let said = 0;
  setInterval(() => {
    if (view.source && view.heard && !view.failed && performance.now() - view.heard > silence()) lost();
    if (performance.now() - said < 15000 || !view.shown?.sample) return;
    said = performance.now();
    setText(byId("summary"), summary(view.shown));
  }, 1000);
}

/** Milliseconds without news after which a server that still holds the connection counts as gone. */
const silence = () => Math.max(35000, 5000 * (view.state?.interval ?? 1));

function summary({ sample }) {
  const groups = sum(sample.topics.map((each) => each.groups_total));
  const bad = sum(sample.topics.map((each) => each.totals.troubled));
  return `${sample.topics.length} topics, ${groups} groups, ${bad} of them behind or stuck. The look took ${duration(sample.took)}.`;
}
