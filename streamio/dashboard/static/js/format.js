// Numbers, times and sizes as words; `templates/format.html` writes them the same way.

/** 12,345; "–" where it is not known. */
export const number = (value) => (value == null ? "–" : value.toLocaleString("en"));

/** 12.5/s */
export const rate = (value) => (value == null ? "–" : !value ? "0/s" : value < 100 ? `${value.toFixed(1)}/s` : `${Math.round(value).toLocaleString("en")}/s`);

/** Seconds as "250 ms", "3.2 s", "4 min 12 s", "3 h 5 min", "2 d 4 h". */
export function duration(value) {
  if (value == null) return "–";
  if (value < 0.9995) return `${value > 0 ? Math.round(value * 1000) : 0} ms`;
  if (value < 60) return `${value.toFixed(1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
  if (value < 86400) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  return `${Math.floor(value / 86400)} d ${Math.floor((value % 86400) / 3600)} h`;
}

/** Bytes as "1.2 MB". */
export function size(value) {
  if (value == null) return "–";
  if (value < 1024) return `${value} B`;
  for (const [unit, bytes] of [["KB", 2 ** 10], ["MB", 2 ** 20]]) if (value < bytes * 1024) return `${(value / bytes).toFixed(1)} ${unit}`;
  return `${(value / 2 ** 30).toFixed(1)} GB`;
}

/** When the entry with this id was added, in milliseconds since 1970. */
export const millis = (id) => Number(String(id).split("-")[0]);

/** "3.2 s ago"; `now` is the server's time in seconds. */
export const age = (id, now) => (!id || id === "0-0" ? "–" : `${duration(Math.max(0, now - millis(id) / 1000))} ago`);

const two = (value) => String(value).padStart(2, "0");

/** Local time of day; the date, too, where it is not today. */
export function clock(milliseconds, fine = false) {
  const at = new Date(milliseconds);
  if (Number.isNaN(at.getTime())) return "–";
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}${fine ? `.${String(at.getMilliseconds()).padStart(3, "0")}` : ""}`;
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return at.toDateString() === new Date().toDateString() ? time : `${day} ${time}`;
}

/** "3 entries", "1 entry". */
export const entries = (count) => `${number(count)} ${count === 1 ? "entry" : "entries"}`;

/** The sum. */
export const sum = (values) => values.reduce((all, each) => all + (each ?? 0), 0);

/** Seconds in a text such as "90", "500ms", "5m"; null where it is empty, NaN where it is none. */
export function seconds(text) {
  const match = /^\s*([\d.]+)\s*(ms|s|m|min|h|d)?\s*$/.exec(text);
  if (!text.trim()) return null;
  return match ? Number(match[1]) * { ms: 0.001, s: 1, m: 60, min: 60, h: 3600, d: 86400 }[match[2] ?? "s"] : NaN;
}
