// The dialog before an action: what it will do, with what is still to be chosen. It is modal, and Escape means no.

import { byId, el } from "./dom.js";

let asked = 0;

/**
 * Asks, and gives the chosen values by name, or null where the answer is no.
 * text: sentences; fields: [{name, label, value, options, type, required}]; verb: what the button says; danger: it destroys.
 */
export function ask({ title, text = [], fields = [], verb, danger = false }) {
  const dialog = byId("ask");
  if (dialog.open) return Promise.resolve(null);
  byId("ask-title").textContent = title;
  byId("ask-text").replaceChildren(...text.map((each) => el("p", {}, each)), ...fields.map(field));
  const yes = byId("ask-yes");
  yes.textContent = verb;
  yes.classList.toggle("danger", danger);
  dialog.returnValue = "";
  dialog.showModal();
  (dialog.querySelector("#ask-text input, #ask-text select") ?? byId(danger ? "ask-no" : "ask-yes")).focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? values(dialog) : null), { once: true }));
}

/** Asks yes or no before something is destroyed; `lines` name the key and the counts. */
export const confirm = async (title, lines, verb) => (await ask({ title, text: lines, verb, danger: true })) !== null;

function field({ name, label, value = "", options = null, type = "text", required = false }) {
  const id = `ask-${name}-${(asked += 1)}`;
  const input = options
    ? el("select", { id, name, required }, ...options.map((each) => new Option(Array.isArray(each) ? each[1] : each, Array.isArray(each) ? each[0] : each)))
    : el("input", { id, name, type, required, autocomplete: "off" });
  if (value !== "") input.value = value;
  return el("p", { class: "field" }, el("label", { for: id }, label), input);
}

const values = (dialog) => Object.fromEntries([...dialog.querySelectorAll("#ask-text input, #ask-text select")].map((each) => [each.name, each.value]));

byId("ask-no").addEventListener("click", () => byId("ask").close());
