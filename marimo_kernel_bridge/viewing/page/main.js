/** Puts the parts together: who tells whom. */

import { Bar } from "./bar.js";
import { Card } from "./card.js";
import { Detail } from "./detail.js";
import { $, debounced, say } from "./dom.js";
import { Gestures } from "./gestures.js";
import { Grid } from "./grid.js";
import { Head } from "./head.js";
import { Host } from "./host.js";
import { ROW } from "./layout.js";
import { openColumns, openExport, openHelp } from "./panels.js";
import { Rows } from "./rows.js";
import { Selection } from "./selection.js";
import { Socket } from "./socket.js";
import { StatisticsOfColumns } from "./statistics.js";
import { View } from "./view.js";

/** @type {import("./types").Carrier} */
const carrier = parent === window ? new Socket() : new Host();
const view = new View(carrier);
const rows = new Rows(view, () => {
  if (rows.unsettled) $("said").textContent = "A cell that runs may change this data";
  grid.draw();
});
const selection = new Selection(view, rows);
const grid = new Grid(view, rows, selection);
selection.grid = grid;
const statistics = new StatisticsOfColumns(grid);
/** @param {number} column */
const openCard = (column) => card.open(column);
const head = new Head(grid, statistics, openCard);
const card = new Card(grid, statistics, head);
const detail = new Detail(grid);
const bar = new Bar(grid, openCard);

let again = false;

/** @param {Error} error */
function trouble(error) {
  if (error.name === "data_gone") return view.ended || view.end("deleted");
  if (error.name === "data_changed" && !again) {
    // Newer data is there: what is asked again is about that, and this is an error only if it comes again
    again = true;
    setTimeout(() => (again = false), 3000);
    rows.halted = false;
    return void view.open().catch(trouble);
  }
  const retry = () => {
    rows.halted = false;
    grid.draw();
  };
  bar.note("trouble", error.message || "The view did not answer.", { urgent: true, actions: rows.halted ? [["Try again", retry]] : [] });
}

new Gestures(grid, {
  card: openCard,
  detail: () => detail.show(),
  search: () => $("search").select(),
  help: openHelp,
  trouble,
});

selection.changed = () => bar.selected();
view.on("described", ({ first, same, newer }) => {
  if (!same) head.forget();
  document.body.classList.add("ready");
  bar.describe();
  grid.arrange();
  if (first) {
    grid.goTo(view.state.first_row * ROW);
    selection.row = selection.fromRow = Math.min(view.state.first_row, Math.max(0, view.total - 1));
    grid.box.focus();
    if (carrier.expand) $("expand").hidden = false;
  } else if (newer) {
    selection.clear();
    $("said").textContent = "The data is new";
    say("The data is new");
  }
  selection.settle();
  bar.empty();
  tell();
});
view.on("order", () => {
  bar.note("trouble", "");
  selection.reset();
  bar.state();
  bar.total();
  grid.goTo(0);
  tell();
});
view.on("look", () => {
  grid.arrange();
  selection.settle();
  bar.state();
  bar.empty();
});
view.on("total", () => {
  grid.arrange();
  selection.settle();
  bar.total();
  bar.empty();
  tell();
});
view.on("placed", () => grid.goTo(view.state.first_row * ROW));
view.on("agent", (before) => {
  const { sort, filters, search } = before;
  bar.note("agent", agentDid(), { actions: [["Undo", () => view.set({ sort, filters, search })]] });
});
view.on("ended", () => {
  document.body.classList.toggle("ended", !!view.ended);
  const why = { "": "", deleted: "The variable is deleted.", "the file is gone": "The file is gone." }[view.ended] ?? `The view has ended: ${view.ended}.`;
  bar.note("ended", why && `${why} What is on the page is the last that was read.`, { urgent: true, keep: true });
});
view.on("shown", () => {
  say("Shown again by the agent");
  // A page cannot come to the front by itself
  if (document.visibilityState !== "visible") document.title = `● ${view.description.title}`;
});
document.addEventListener("visibilitychange", () => view.description && (document.title = view.description.title));
view.on("progress", (progress) => bar.progress(progress));
view.on("trouble", trouble);

function agentDid() {
  const { sort, filters, search } = view.state;
  const name = (/** @type {number} */ index) => view.columns[index]?.name ?? "";
  const did = sort.length ? [`sorted by ${sort.map((key) => `${name(key.column)} ${key.descending ? "↓" : "↑"}`).join(", ")}`] : [];
  if (filters.length) did.push(`filtered by ${[...new Set(filters.map((filter) => name(filter.column)))].join(", ")}`);
  if (search) did.push(`searched for “${search}”`);
  return `The agent has ${did.join(" and ") || "cleared sort and filters"}.`;
}

const tell = () => view.state && carrier.tell(view.sentence());
const place = debounced(() => {
  if (view.state.first_row !== grid.first && view.totalKnown) view.set({ first_row: grid.first });
}, 800);
let seen = 0;
grid.drawn.push(() => {
  if (seen !== grid.first) place();
  seen = grid.first;
});
selection.tell = debounced(() => selection.share().then(tell), 300);

carrier.onConnection = (connection) => {
  const said = { open: "", lost: "Reconnecting …", gone: "The viewer’s server has ended. Ask for the view again.", closed: "This view is closed. Ask for it again." }[connection];
  const lasting = connection === "gone" || connection === "closed";
  bar.note("connection", said, { urgent: lasting, keep: true, actions: lasting ? [["Try again", () => carrier.retry()]] : [] });
  if (connection === "open") view.open().catch(trouble);
};
$("columns").addEventListener("click", () => openColumns(grid, openCard));
$("export").addEventListener("click", () => openExport(view));
$("help").addEventListener("click", openHelp);
$("expand").addEventListener("click", () => carrier.expand?.());
