/** The version of the messages between this page and a kernel, what they are made of, and the page's end of notebooks. */

/** A kernel with another version does not answer. */
export const LOADER = 2;

/**
 * @typedef {{type: string, [name: string]: any}} Message one parsed message; the kernel's are trusted, as its outputs are
 * @typedef {{type: string, [name: string]: unknown}} Sent
 * @typedef {(ArrayBuffer | ArrayBufferView)[]} Buffers
 * @typedef {{[mime: string]: any}} Bundle
 * @typedef {{data?: Bundle, [name: string]: any}} Output
 * @typedef {{id: string, outputs: {toJSON(): unknown, fromJSON(outputs: any): void}}} Cell
 * @typedef {{cells: Iterable<any>, toJSON(): any}} Notebook JupyterLab's model of a notebook
 * @typedef {{send(message: Sent): void, notebook(): Notebook | null | undefined, expects?: boolean}} Carrier `expects`: elements are likely
 * @typedef {{receive(message: Message, buffers?: Buffers): void, close(): void}} Connection
 * @typedef {{type: string, entry: string, later: string[], css: string[], mount: object, ready: string, parts: [string, number][][], sizes: number[]}} Assets
 */

/** A message of more than 10 MB ends the connection to Jupyter's server. A character takes three bytes at most, one of a part two. */
const LARGEST = 3_000_000; // characters

/**
 * Return a message as it is or, if it is too large for one, its text in parts.
 * @param {Sent} message @param {string} page @param {string} whole names the message
 * @returns {Sent[]}
 */
export function inParts(message, page, whole) {
  const text = JSON.stringify(message);
  if (text.length <= LARGEST) return [message];
  const ascii = text.replace(/[^ -~]/g, escaped);
  const count = Math.ceil(ascii.length / LARGEST);
  const part = (/** @type {number} */ index) => ascii.slice(index * LARGEST, (index + 1) * LARGEST);
  return Array.from({ length: count }, (_, index) => ({ type: 'part', page, whole, index, count, text: part(index) }));
}

/** @param {string} character as JSON says it with ASCII alone */
export function escaped(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
