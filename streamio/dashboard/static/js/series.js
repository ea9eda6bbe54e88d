// The last 15 minutes of the topic and the chosen group: asked for once, then each state adds its values.

import { get, topic } from "./api.js";

const SECONDS = 900;
const NAMES = ["rate_in", "rate_out", "lag", "lag_seconds", "pending", "oldest_idle", "latency", "p50", "p95"];

export const series = { group: null, at: [] };
let loading = false;

const known = (value) => (value == null ? null : value);
const inHand = (group) => (group.rate_out ? group.pending / group.rate_out : null);

/** The places of the values, with one below zero for each gap in which nobody looked: a line must not be drawn across it. */
function whole(at, interval) {
  return at.flatMap((each, index) => (index && each - at[index - 1] > 10 * interval + 5 ? [-index, index] : [index]));
}

/** Asks for what was before. */
export async function load(group, interval) {
  if (loading) return;
  loading = true;
  try {
    const came = await get("history", { topic, group });
    const shown = whole(came.at, interval);
    series.at = shown.map((index) => (index < 0 ? (came.at[-index - 1] + came.at[-index]) / 2 : came.at[index]));
    for (const name of NAMES) series[name] = shown.map((index) => (index < 0 ? null : (came[name]?.[index] ?? null)));
    series.group = group;
  } catch {
    series.group = null; // asked for again with the next state
  } finally {
    loading = false;
  }
}

/** Adds what the state says. After a gap (a tab that was hidden, a pause) it is asked for anew. */
export function append(state, each, held) {
  const group = each.groups.find((one) => one.name === series.group);
  const last = series.at.at(-1);
  if (last === state.sample.at || series.group === null) return;
  if (last !== undefined && state.sample.at - last > 10 * state.interval + 5) {
    series.group = null;
    return;
  }
  const values = { rate_in: each.rate_in, rate_out: group?.rate_out, lag: group?.lag, lag_seconds: group?.lag_seconds, pending: group?.pending };
  Object.assign(values, { oldest_idle: group?.oldest?.idle ?? 0, latency: group ? inHand(group) : null, p50: held?.p50, p95: held?.p95 });
  series.at.push(state.sample.at);
  for (const name of NAMES) series[name].push(known(values[name]));
  const old = series.at.findIndex((at) => at >= state.sample.at - SECONDS);
  if (old > 0) for (const name of ["at", ...NAMES]) series[name].splice(0, old);
}
