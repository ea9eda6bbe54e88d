// The page's script: every panel listens to the state; then the connection is opened.

import "./overview.js";
import "./groups.js";
import "./consumers.js";
import "./pending.js";
import "./dead.js";
import "./retention.js";
import "./produce.js";
import "./entries.js";
import "./log.js";
import "./plots.js";
import { byId, setText } from "./dom.js";
import { size } from "./format.js";
import { onState, pause, redraw, start } from "./live.js";

const typing = (node) => node.closest("input, textarea, select, dialog, [contenteditable]") !== null;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target === byId("filter")) {
    byId("filter").value = "";
    redraw();
  }
  if (typing(event.target)) return;
  if (event.key === "/") {
    event.preventDefault();
    byId("filter").focus();
  } else if (event.key === "p") pause();
});

const address = byId("server").dataset.address;
onState(({ sample }) => {
  if (sample) setText(byId("server"), [address, sample.server && `Redis ${sample.server}`, sample.memory != null && size(sample.memory)].filter(Boolean).join(" · "));
});

start();
