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
