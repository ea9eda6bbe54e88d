// Elements: made, filled and patched by key. Whatever comes from Redis goes in as text, never as markup.

/** The element with this id, or null. */
export const byId = (id) => document.getElementById(id);

/** A new element: attributes by name (`on...` are listeners), then children, which are nodes or text. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((each) => each != null));
  return node;
}

/** Writes the text where it differs: what did not change is not touched. */
export function setText(node, text) {
  if (node && node.textContent !== String(text)) node.textContent = text;
}

/** Writes the attribute where it differs; null takes it away. */
export function setAttribute(node, name, value) {
  if (value == null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Fills each `data-cell` inside the node: text, or a function that is given the cell. */
export function fill(node, cells) {
  for (const [name, value] of Object.entries(cells)) {
    for (const cell of node.querySelectorAll(`[data-cell="${name}"]`)) {
      if (typeof value === "function") value(cell);
      else if (name === "state") setState(cell, value);
      else setText(cell, value);
    }
  }
}

/** Shows a state word. */
export function setState(node, word) {
  setText(node, word);
  setAttribute(node, "data-state", word);
}

/** A copy of what the <template> with this id holds. */
export const copyOf = (id) => byId(id).content.firstElementChild.cloneNode(true);

/**
 * Makes the keyed children of `box` those of `items`, in their order: known ones stay the nodes they are (focus, open details and
 * typed text with them), new ones come from `make(item)`, what is gone goes. `update(node, item)` fills each in.
 */
export function patch(box, items, { key, make, update }) {
  const had = new Map([...box.children].filter((node) => node.dataset.key !== undefined).map((node) => [node.dataset.key, node]));
  const wanted = new Set(items.map((item) => String(key(item))));
  const active = document.activeElement;
  for (const [name, node] of had) if (!wanted.has(name)) take(node, active);
  let place = firstKeyed(box);
  for (const item of items) {
    const name = String(key(item));
    const node = had.get(name) ?? make(item);
    node.dataset.key = name;
    if (node === place) place = nextKeyed(place);
    else box.insertBefore(node, place);
    update(node, item);
  }
  if (active !== document.activeElement && active.isConnected) active.focus({ preventScroll: true });
}

function take(node, active) {
  const heading = node.contains(active) && node.closest("section")?.querySelector("h2, h1");
  node.remove();
  if (heading) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
}

const firstKeyed = (box) => [...box.children].find((node) => node.dataset.key !== undefined) ?? null;

function nextKeyed(node) {
  do node = node.nextElementSibling;
  while (node && node.dataset.key === undefined);
  return node;
}

/** The <option>s of a select or datalist; what is chosen stays chosen. `items` are values, or [value, text]. */
export function options(select, items) {
  const pairs = items.map((item) => (Array.isArray(item) ? item : [item, item]));
  const now = [...select.children].map((each) => `${each.value}\n${each.textContent}`).join("\n");
  if (now === pairs.map(([value, text]) => `${value}\n${text}`).join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
  if (pairs.some(([value]) => value === chosen)) select.value = chosen;
}

/**
 * A list with a limit: gives the first of `items`, and tells how many more of `total` there are. A button shows more of them,
 * where they are here, or (`elsewhere`) can be asked for.
 */
export function limited(id, items, total, limits, redraw, elsewhere = false) {
  const limit = limits.get(id) ?? 50;
  const left = Math.max(total ?? 0, items.length) - Math.min(limit, items.length);
  const line = byId(`${id}-more`);
  if (line) {
    if (!line.firstElementChild && left > 0) {
      const raise = () => (limits.set(id, (limits.get(id) ?? 50) + 100), redraw());
      line.replaceChildren(el("span"), el("button", { type: "button", class: "small", onclick: raise }, "Show more"));
    }
    line.hidden = left <= 0;
    if (left > 0) {
      setText(line.firstElementChild, `… ${left.toLocaleString("en")} more `);
      line.lastElementChild.hidden = !(items.length > limit || (elsewhere && limit < 500));
    }
  }
  const empty = byId(`${id}-empty`);
  if (empty) empty.hidden = items.length > 0;
  return items.slice(0, limit);
}
