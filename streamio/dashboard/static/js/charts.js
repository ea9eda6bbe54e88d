// One chart: lines over time or bars, in the page's colours, with a table that says the same.

import { el, setText } from "./dom.js";
import { clock } from "./format.js";

const { uPlot } = window;
const HEIGHT = 132;
const ROWS = 60; // of a table

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const two = (value) => String(value).padStart(2, "0");
const minute = (at) => ((time) => `${two(time.getHours())}:${two(time.getMinutes())}${at % 60 ? `:${two(time.getSeconds())}` : ""}`)(new Date(at * 1000));
/** Two minutes at least, so that the first values do not fill all of it. */
const span = (_, least, most) => [Math.min(least ?? 0, (most ?? 0) - 120), most ?? 1];

const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000, 36000, 86400, 604800, 2592000];

function axis(scale, values, side, grid, steps = null) {
  return { ...(steps ? { incrs: steps } : {}), scale, side, size: 52, gap: 4, stroke: colour("--muted"), font: "11px system-ui, sans-serif", space: 28, grid: { show: grid, stroke: colour("--line"), width: 1 }, ticks: { show: false }, values: (_, splits) => splits.map((each) => (each == null ? "" : values(each))) };
}

function lines(plot) {
  const looks = [{ stroke: colour("--accent"), width: 1.6 }, { stroke: colour("--second"), width: 1.4, dash: [5, 3] }, { stroke: colour("--muted"), width: 1.2, dash: [2, 3] }];
  return plot.series.map((each, number) => ({ label: each.label, scale: each.scale ?? "y", spanGaps: Boolean(each.gaps), points: { show: false }, ...looks[number], ...(plot.bars ? { paths: uPlot.paths.bars({ size: [0.6, 60] }), fill: colour("--accent") } : number === 0 && plot.series.length === 1 ? { fill: colour("--wash") } : {}) }));
}

function scales(plot) {
  const range = (_, least, most) => (plot.log ? [Math.max(1e-3, 10 ** Math.floor(Math.log10(least || 1e-3))), 10 ** Math.ceil(Math.log10(Math.max(most || 1, 1e-2) * 1.01))] : [0, Math.max(plot.least ?? 1, (most || 0) * 1.1)]);
  const found = { x: plot.bars ? { time: false, range: (_, least, most) => [(least ?? 1) - 0.6, (most ?? 1) + 0.6] } : { time: true, range: span }, y: { distr: plot.log ? 3 : 1, range } };
  return plot.series.some((each) => each.scale === "y2") ? { ...found, y2: { range: (_, __, most) => [0, Math.max(1, (most || 0) * 1.1)] } } : found;
}

/** A chart in the figure: `draw(data)` shows columns of values, the first of them the times (or, with `bars`, the numbers). */
export function chart(figure, plot) {
  const place = figure.querySelector(".plot");
  const table = figure.querySelector("table");
  const now = figure.querySelector('[data-cell="now"]');
  let made = null;
  let data = [[], ...plot.series.map(() => [])];

  const say = (index) => {
    const known = plot.series.map((each, number) => [each, data[number + 1][index] ?? null]).filter(([, value], number) => value !== null || number === 0 && plot.series.length === 1);
    const parts = known.map(([each, value]) => `${each.label} ${each.format(value)}`);
    setText(now, data[0].length ? `${index < data[0].length - 1 && !plot.bars ? `${clock(data[0][index] * 1000)}  ` : ""}${parts.join(", ") || "nothing yet"}` : "nothing yet");
  };
  const build = () => {
    made?.destroy();
    const axes = [{ ...axis("x", plot.bars ? (each) => (Number.isInteger(each) ? String(each) : "") : minute, 2, false), size: 24, space: 60 }, axis("y", plot.series[0].tick ?? plot.series[0].format, 3, true, plot.time && STEPS)];
    if (plot.series.some((each) => each.scale === "y2")) axes.push(axis("y2", plot.series.at(-1).format, 1, false, STEPS));
    const hooks = { setCursor: [(u) => !plot.bars && say(u.cursor.idx ?? data[0].length - 1)] };
    const cursor = { y: false, drag: { x: false, y: false }, points: { show: false }, ...(plot.bars ? {} : { sync: { key: "streamio", setSeries: false } }) };
    made = new uPlot({ width: Math.max(200, place.clientWidth), height: HEIGHT, legend: { show: false }, padding: [8, 16, 0, 0], cursor, hooks, scales: scales(plot), axes, series: [{}, ...lines(plot)] }, data, place);
  };
  const rows = () => {
    if (!table.closest("details").open) return;
    const step = Math.max(1, Math.ceil(data[0].length / ROWS));
    const shown = data[0].map((_, index) => index).filter((index) => (data[0].length - 1 - index) % step === 0).reverse();
    table.tHead.rows[0].replaceChildren(...[plot.bars ? "Deliveries" : "Time", ...plot.series.map((each) => each.label)].map((each) => el("th", { scope: "col", class: "n" }, each)));
    table.tBodies[0].replaceChildren(...shown.map((index) => el("tr", {}, el("th", { scope: "row", class: "n" }, plot.bars ? String(data[0][index]) : clock(data[0][index] * 1000)), ...plot.series.map((each, number) => el("td", { class: "n" }, each.format(data[number + 1][index] ?? null))))));
  };
  table.closest("details").addEventListener("toggle", rows);
  new ResizeObserver(() => made && made.setSize({ width: Math.max(200, place.clientWidth), height: HEIGHT })).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => made && build());
  return (columns) => {
    data = plot.log ? columns.map((values, number) => (number ? values.map((each) => (each > 0 ? each : null)) : values)) : columns;
    if (made) made.setData(data);
    else build();
    if (made.cursor.idx == null || plot.bars) say(data[0].length - 1);
    rows();
  };
}
