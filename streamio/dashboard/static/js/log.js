// The log: what was done from dashboards, newest first, with the command that was sent.

import { get } from "./api.js";
import { byId, copyOf, fill, patch, setAttribute, setText } from "./dom.js";
import { clock } from "./format.js";
import { onLog } from "./live.js";

const KEPT = 100;
let actions = [];

function show() {
  patch(byId("log-rows"), actions, {
    key: (each) => each.number,
    make: () => copyOf("row-action"),
    update: (node, each) => {
      setAttribute(node, "data-ok", each.ok ? "yes" : "no");
      fill(node, { at: (cell) => setText(cell, clock(each.at * 1000)), who: each.who, outcome: `${each.ok ? "" : "Refused: "}${each.outcome}`, command: each.command });
    },
  });
  byId("log-empty").hidden = actions.length > 0;
}

function add(more) {
  const known = new Map([...actions, ...more].map((each) => [each.number, each]));
  actions = [...known.values()].sort((a, b) => b.number - a.number).slice(0, KEPT);
  show();
}

onLog((action) => add([action]));
get("log").then((came) => add(came.log ?? came.actions ?? []), () => null);
