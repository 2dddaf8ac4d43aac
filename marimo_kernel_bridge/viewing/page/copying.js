/** What is copied: whole values as a spreadsheet reads them, or it is said that there was more. */

import { grouped } from "./dom.js";
import { isCut, plain } from "./values.js";

const COMPLETED = 500; // cells that are cut on the page and asked for in full
const LONGEST = 20_000_000; // characters of those

/**
 * Read rows, with the values in full that a page has the beginning of.
 * @param {import("./rows.js").Rows} rows
 * @param {number} first
 * @param {number} last
 * @param {number[]} columns
 * @returns {Promise<{rows: import("./types").Cell[][], cut: number}>} `cut`: values that are longer than even their details
 */
export async function wholeRows(rows, first, last, columns) {
  const { view } = rows;
  const { epoch, description } = view;
  const { rows: read, ids } = await rows.read(first, last, columns);
  const places = read.flatMap((row, at) => row.flatMap((cell, place) => (isCut(cell) ? [[at, place]] : [])));
  if (places.length > COMPLETED) throw new Error(`${grouped(places.length)} of these values are long: export the rows instead.`);
  let cut = 0;
  let length = 0;
  for (const [at, place] of places) {
    const found = await view.carrier.ask({ do: "detail", row: ids[at], column: columns[place], version: description.version });
    length += found.text.length;
    if (epoch !== view.epoch) throw new Error("The data changed while it was read. Try again.");
    if (length > LONGEST) throw new Error("These values are too long to copy: export the rows instead.");
    read[at][place] = found.text + (found.cut ? "…" : "");
    cut += found.cut ? 1 : 0;
  }
  return { rows: read, cut };
}

/** @param {import("./types").Cell[][]} rows */
export const table = (rows) => rows.map((row) => row.map((cell) => quoted(plain(cell))).join("\t")).join("\n");

/** @param {string} text as spreadsheets read it: one with tabs or line ends in quotes */
const quoted = (text) => (/[\t\n\r"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
