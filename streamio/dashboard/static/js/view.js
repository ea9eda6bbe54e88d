// What of the state this page shows: the topic it is about, the filter, how many rows.

import { topic } from "./api.js";
import { byId } from "./dom.js";
import { redraw } from "./live.js";

/** How many rows a panel shows, by the panel's id. */
export const limits = new Map();

/** The topic of this page as the state has it, or null. */
export const selected = (state) => state.sample?.topics.find((each) => each.name === topic) ?? null;

/** The groups of this page's topic. */
export const groupsOf = (state) => selected(state)?.groups ?? [];

/** How many there are of what is counted (`pending`, `dead`) in the group of this name, or in all groups of this page's topic. */
export const total = (state, what, group) => (group ? groupsOf(state).find((each) => each.name === group)?.[what] : selected(state)?.totals[what]) ?? 0;

/** What is typed into the filter, in lower case. */
export const wanted = () => byId("filter").value.trim().toLowerCase();

/** Whether what is said about a thing contains the filter's words. */
export function matches(...words) {
  const text = words.join(" ").toLowerCase();
  return wanted().split(/\s+/).every((each) => text.includes(each));
}

/** The words of the consumer that stands for "in nobody's hand". */
export const WAITING = "~waiting";

/** A consumer's name as people read it. */
export const named = (consumer) => (consumer === WAITING ? "nobody (waiting)" : consumer);

byId("filter").addEventListener("input", () => redraw());
byId("filter").form.addEventListener("submit", (event) => event.preventDefault());
