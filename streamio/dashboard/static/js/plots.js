// The plots of the topic and one group of it.

import { get, topic } from "./api.js";
import { chart } from "./charts.js";
import { byId, options } from "./dom.js";
import { duration, number, rate } from "./format.js";
import { onState, redraw } from "./live.js";
import { fetcher } from "./lists.js";
import { append, load, series } from "./series.js";
import { selected } from "./view.js";

const short = (value) => (value == null ? "–" : value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e4 ? `${+(value / 1e3).toFixed(1)}k` : number(+value.toFixed(2)));
const time = (value) => (value == null ? "–" : value < 1 ? duration(value) : value < 60 ? `${+value.toFixed(1)} s` : value < 3600 ? `${+(value / 60).toFixed(1)} min` : `${+(value / 3600).toFixed(1)} h`);

const plots = {
  rates: { series: [{ label: "in", format: rate, tick: short }, { label: "out", format: rate }] },
  lag: { least: 10, series: [{ label: "lag", format: short }] },
  lag_seconds: { time: true, series: [{ label: "behind by", format: time }] },
  pending: { least: 10, series: [{ label: "pending", format: short }, { label: "idle", format: time, scale: "y2" }] },
  deliveries: { bars: true, log: true, series: [{ label: "entries", format: short }] },
  latency: { log: true, series: [{ label: "mean (estimated)", format: time, gaps: true }, { label: "idle p50", format: time, gaps: true }, { label: "idle p95", format: time, gaps: true }] },
};
const columns = { rates: ["rate_in", "rate_out"], lag: ["lag"], lag_seconds: ["lag_seconds"], pending: ["pending", "oldest_idle"], latency: ["latency", "p50", "p95"] };
const charts = {};
const order = { stuck: 0, behind: 1, ok: 2, idle: 3 };
let held = null;

const look = fetcher({
  seconds: 5,
  ask: (group) => get("latency", { topic, group }),
  show: (came) => {
    held = came.held;
    const found = Object.entries(came.deliveries).map(([times, count]) => [Number(times), count]).sort((a, b) => a[0] - b[0]).slice(0, 200);
    charts.deliveries([found.map((each) => each[0]), found.map((each) => each[1])]);
  },
});

function choose(each) {
  const select = byId("plots-group");
  const fresh = !select.value;
  options(select, each.groups.length ? each.groups.map((group) => group.name) : [["", "–"]]);
  if (fresh && each.groups.length) select.value = [...each.groups].sort((a, b) => order[a.state] - order[b.state])[0].name;
  return select.value;
}

async function update(state) {
  const each = selected(state);
  if (!each) return;
  const group = choose(each);
  if (group) look(`${group} ${JSON.stringify(each.groups.find((one) => one.name === group)?.oldest?.id ?? "")}`, group);
  if (series.group !== group) await load(group, state.interval);
  else append(state, each, held);
  if (series.group !== group) return;
  for (const [name, wanted] of Object.entries(columns)) charts[name]([series.at, ...wanted.map((one) => series[one])]);
}

if (byId("plots") && window.uPlot) {
  for (const figure of document.querySelectorAll("figure[data-plot]")) charts[figure.dataset.plot] = chart(figure, plots[figure.dataset.plot]);
  onState((state) => state.sample && update(state));
  byId("plots-group").addEventListener("change", () => ((held = null), redraw()));
}
