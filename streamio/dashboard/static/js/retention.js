// Trimming: what would go, told before it goes.

import { post, tell, topic, write } from "./api.js";
import { confirm } from "./ask.js";
import { byId, el } from "./dom.js";
import { entries, number, seconds } from "./format.js";

const units = { maxlen: ["Entries", "1000"], max_age: ["Age, such as 24h", "24h"], minid: ["Id", ""], acked: ["", ""] };

/** What the form says, as the server takes it; null, and a sentence, where it makes no sense. */
function values(form) {
  const by = form.by.value;
  const text = form.value.value.trim();
  const rest = { topic, exact: form.exact.checked };
  if (by === "acked") return { ...rest, acked: true };
  if (by === "minid") return { ...rest, minid: text };
  const value = by === "max_age" ? seconds(text) : Number(text.replaceAll(",", "") || NaN);
  if (!Number.isFinite(value) || value < 0 || (by === "maxlen" && !Number.isInteger(value))) {
    tell(by === "maxlen" ? "How many entries to keep must be a whole number." : "An age is a number of seconds, or 90s, 5m, 24h, 7d.", { wrong: true });
    return null;
  }
  return { ...rest, [by]: value };
}

const ofGroups = (counts) => Object.entries(counts).filter(([, count]) => count);

/** What would go, as sentences. */
function sentences({ entries: count, pending, undelivered, oldest_kept: oldest }) {
  const lines = [`${entries(count)} would go.`];
  for (const [group, left] of ofGroups(pending)) lines.push(`${number(left)} of them ${left === 1 ? "is" : "are"} pending in ${group}: not acknowledged yet.`);
  for (const [group, left] of ofGroups(undelivered)) lines.push(`${number(left)} of them ${left === 1 ? "was" : "were"} not delivered to ${group} yet.`);
  if (count && !ofGroups(pending).length && !ofGroups(undelivered).length) lines.push("All of them are acknowledged by every group.");
  if (oldest) lines.push(`The oldest that stays is ${oldest}.`);
  return lines;
}

async function preview(form) {
  const given = values(form);
  if (!given) return null;
  const came = await post("trim", { ...given, preview: true }, { quiet: true });
  if (!came) return null;
  const lines = sentences(came.result);
  byId("trim-preview").replaceChildren(...lines.map((line) => el("p", {}, line)));
  return { given, lines, count: came.result.entries };
}

async function trim(form) {
  const came = await preview(form);
  if (!came) return;
  if (!came.count) return tell("Nothing to trim.");
  if (!(await confirm(`Trim ${topic}?`, came.lines, `Trim ${entries(came.count)}`))) return;
  if (await post("trim", came.given)) byId("trim-preview").replaceChildren();
}

const form = document.querySelector('form[data-action="trim"]');
if (write && form) {
  form.addEventListener("submit", (event) => (event.preventDefault(), trim(form)));
  form.querySelector("[data-action=trim-preview]").addEventListener("click", () => preview(form));
  form.by.addEventListener("change", () => {
    const [unit, value] = units[form.by.value];
    byId("trim-unit").textContent = unit;
    form.value.value = value;
    form.value.closest("label").hidden = form.by.value === "acked";
    form.value.required = form.by.value !== "acked";
    byId("trim-preview").replaceChildren();
  });
}
