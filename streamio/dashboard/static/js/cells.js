// What an entry's fields are as cells of a table: columns found among the entries shown, text that is cut where it is long.

const MOST = 6; // columns
const LONG = 160; // letters of a cell
const HEADER = /^(type|header:.*|traceparent|tracestate)$/;

/** A value as text: bytes say that they are. */
export const text = (value) => (value && typeof value === "object" ? (value.$b64 === undefined ? JSON.stringify(value) : `base64 ${value.$b64}`) : String(value));

const short = (value) => (value.length > LONG ? `${value.slice(0, LONG)}…` : value);

function parsed(value) {
  if (typeof value !== "string" || !value.trimStart().startsWith("{")) return null;
  try {
    return JSON.parse(value);
  } catch {
    return null;
  }
}

/** The entry's payload as [name, text] pairs: no type, no headers; what a field `data` holds as JSON stands for itself. */
export function pairs(entry) {
  const all = Array.isArray(entry.fields) ? entry.fields.map(([name, value]) => [text(name), value]) : Object.entries(entry.fields ?? {});
  const own = all.filter(([name]) => !HEADER.test(name));
  const data = own.length === 1 && own[0][0] === "data" ? parsed(own[0][1]) : null;
  return (data ? Object.entries(data) : own).map(([name, value]) => [name, short(text(value))]);
}

/** The names that most entries have, in the order in which they come. */
export function columns(rows) {
  const seen = new Map();
  for (const row of rows) for (const [name] of row.pairs) seen.set(name, (seen.get(name) ?? 0) + 1);
  const most = [...seen].sort((a, b) => b[1] - a[1]).slice(0, MOST).map(([name]) => name);
  return [...seen.keys()].filter((name) => most.includes(name));
}

/** The trace that the entry belongs to; null where it says none. */
export function traceOf(entry) {
  const said = entry.headers?.traceparent ?? (Array.isArray(entry.fields) ? null : entry.fields?.traceparent);
  return /^[\da-f]{2}-([\da-f]{32})-/.exec(typeof said === "string" ? said : "")?.[1] ?? null;
}
