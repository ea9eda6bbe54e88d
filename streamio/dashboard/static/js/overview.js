// The cards of all topics, and on a topic's page the way to the others and its own figures.

import { root, topic } from "./api.js";
import { byId, copyOf, fill, limited, patch, setAttribute, setState, setText, el } from "./dom.js";
import { age, duration, number, rate, size } from "./format.js";
import { onState, redraw } from "./live.js";
import { limits, matches, selected } from "./view.js";

const order = { stuck: 0, behind: 1, unknown: 2, ok: 3, idle: 4 };
const link = (name) => `${root}/?topic=${encodeURIComponent(name)}`;
const says = (each) => each.groups.map((group) => `${group.name} ${group.diagnosis}`).join(" ");

function card(node, each) {
  fill(node, {
    name: (cell) => (setText(cell, each.name), setAttribute(cell, "href", link(each.name))),
    state: each.state,
    length: number(each.length),
    rate_in: rate(each.rate_in),
    lag: number(each.totals.lag),
    lag_seconds: each.groups.length ? duration(each.totals.lag_seconds) : "",
    pending: number(each.totals.pending),
    says: (cell) => sentences(cell, each),
  });
}

function sentences(cell, each) {
  const lines = each.error ? [{ name: "", diagnosis: each.error }] : [...each.groups].sort((a, b) => order[a.state] - order[b.state]).slice(0, 3);
  patch(cell, lines, {
    key: (line) => line.name,
    make: () => el("li", {}, el("b"), " ", el("span")),
    update: (node, line) => {
      setText(node.children[0], line.name);
      setText(node.children[1], line.diagnosis);
    },
  });
}

function cards({ sample }) {
  const found = sample.topics.filter((each) => matches(each.name, each.state, says(each)));
  const shown = found.sort((a, b) => order[a.state] - order[b.state]); // within a state by name, as they come
  const items = limited("cards", shown, shown.length, limits, redraw);
  patch(byId("cards"), items, { key: (each) => each.name, make: () => copyOf("row-card"), update: card });
  const left = sample.left_out ? `, ${number(sample.left_out)} more are not looked at` : "";
  setText(byId("overview-note"), `${number(sample.topics.length)} ${sample.topics.length === 1 ? "stream" : "streams"}${left}`);
}

function others({ sample }) {
  const items = sample.topics.filter((each) => each.name === topic || matches(each.name)).slice(0, 40);
  patch(byId("topics"), items, {
    key: (each) => each.name,
    make: () => copyOf("row-topic"),
    update: (node, each) => {
      fill(node, { name: each.name, state: each.state });
      setAttribute(node.firstElementChild, "href", link(each.name));
      setAttribute(node.firstElementChild, "aria-current", each.name === topic ? "page" : null);
    },
  });
}

function figures(state) {
  const each = selected(state);
  const error = byId("topic-error");
  setState(byId("topic-state"), each?.state ?? "unknown");
  error.hidden = each !== null && !each.error;
  setText(error, each === null ? "There is no stream of this name (yet)." : (each.error ?? ""));
  fill(byId("figures"), {
    length: number(each?.length),
    rate_in: rate(each?.rate_in),
    lag: number(each?.totals.lag),
    lag_seconds: duration(each?.totals.lag_seconds),
    pending: number(each?.totals.pending),
    dead: number(each?.totals.dead),
    delayed: number(each?.delayed),
    newest: age(each?.last_id, state.sample.at),
    last_id: each?.last_id ?? "",
  });
  fill(byId("keeps"), { length: number(each?.length), added: number(each?.entries_added), oldest: age(each?.first_id, state.sample.at), first_id: each?.first_id ?? "", memory: size(each?.memory) });
}

onState((state) => {
  if (!state.sample) return;
  if (byId("cards")) cards(state);
  if (byId("topics")) others(state);
  if (byId("figures")) figures(state);
});
