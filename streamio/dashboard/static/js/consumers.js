// Consumers: who is there, who is silent; remove one, after handing over what it has.

import { post, topic, write } from "./api.js";
import { ask } from "./ask.js";
import { byId, copyOf, fill, limited, options, patch, setText } from "./dom.js";
import { duration, entries, number } from "./format.js";
import { current, onState, redraw } from "./live.js";
import { groupsOf, limits, matches, selected } from "./view.js";

const word = (consumer) => (consumer.stale ? "stale" : consumer.pending ? "busy" : "idle");
const consumersOf = (state) => groupsOf(state).flatMap((group) => group.consumers.map((each) => ({ ...each, group: group.name })));

onState((state) => {
  if (!byId("consumers-rows") || !state.sample) return;
  const all = consumersOf(state);
  const found = all.filter((each) => matches(each.name, each.group, word(each)));
  const total = selected(state)?.totals.consumers ?? 0;
  const items = limited("consumers", found, found.length === all.length ? total : found.length, limits, redraw);
  patch(byId("consumers-rows"), items, {
    key: (each) => `${each.group.replaceAll("%", "%25").replaceAll(" ", "%20")} ${each.name}`, // "a b" of "c" is not "b c" of "a"
    make: () => copyOf("row-consumer"),
    update: (node, each) =>
      fill(node, { name: each.name, group: each.group, state: word(each), pending: number(each.pending), idle: `${duration(each.idle)} ago`, inactive: each.inactive == null ? "–" : `${duration(each.inactive)} ago` }),
  });
  const stale = all.filter((each) => each.stale).length;
  setText(byId("consumers-note"), all.length ? `${number(total)} known${stale ? `, ${number(stale)} stale` : ""}` : "");
  if (byId("consumer-names")) options(byId("consumer-names"), [...new Set(all.map((each) => each.name))].slice(0, 100));
});

/** Asks who gets what the consumer has, and removes it. */
async function remove(group, name) {
  const peers = consumersOf(current()).filter((each) => each.group === group && each.name !== name);
  const { pending } = consumersOf(current()).find((each) => each.group === group && each.name === name) ?? { pending: 0 };
  const heirs = [...peers.map((each) => [each.name, each.name]), ...(pending ? [] : [["", "nobody"]])];
  if (pending && !peers.length) heirs.push(["", "nobody: refused while something is pending"]);
  const chosen = await ask({
    title: `Remove consumer ${name}?`,
    text: [`Of group ${group} of ${topic}. ${entries(pending)} pending under its name ${pending === 1 ? "goes" : "go"} to its heir first.`, "A member that still runs under this name comes back with its next read."],
    fields: [{ name: "heir", label: "Heir", options: heirs }],
    verb: `Remove ${name}`,
    danger: true,
  });
  if (chosen) await post("consumer/remove", { topic, group, name, ...(chosen.heir ? { heir: chosen.heir } : {}) });
}

if (write) {
  byId("consumers-rows")?.addEventListener("click", (event) => {
    const row = event.target.closest("button[data-action=remove]")?.closest("tr");
    if (row) remove(row.querySelector('[data-cell="group"]').textContent, row.querySelector('[data-cell="name"]').textContent);
  });
}
