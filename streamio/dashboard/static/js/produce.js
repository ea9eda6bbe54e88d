// Adding entries by hand.

import { post, tell, topic } from "./api.js";

/** The fields that the text says: a JSON object, or `name=value` on each line. */
export function fieldsIn(text) {
  if (text.trim().startsWith("{")) return JSON.parse(text);
  const pairs = text.split("\n").filter((line) => line.trim()).map((line) => {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`"${line.trim()}" is not name=value.`);
    return [line.slice(0, at).trim(), line.slice(at + 1)];
  });
  return Object.fromEntries(pairs);
}

for (const form of document.querySelectorAll('form[data-action="produce"]')) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      const values = { topic: topic || form.topic.value.trim(), count: Number(form.count.value), fields: fieldsIn(form.fields.value) };
      post("produce", form.type.value.trim() ? { ...values, type: form.type.value.trim() } : values);
    } catch (error) {
      tell(`The fields cannot be read: ${error.message}`, { wrong: true });
    }
  });
}
