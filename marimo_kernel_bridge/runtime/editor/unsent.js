/**
 * Keeps what a person is typing in marimo's editor when the notebook gets another text of the same cell. It runs on the editor's page,
 * before marimo's own scripts.
 *
 * That page tells its server what is typed 0.4 s after the last key. Until then the server takes the cell for unchanged, and its order
 * to set the cell's code would replace the text. Here such an order waits: once the text is told, the server keeps it, and the order is
 * dropped; if none is told, none was typed, and the order is carried out.
 */
(() => {
  const ORDER = 'set-code';
  const TRANSACTION = '/api/document/transaction';
  const QUIET = 700; // ms without a key after which all that was typed is on its way
  /** The cells in which a person is at work, each with its text from before, and the order that waits. */
  const cells = new Map();
  let sending = 0;
  let passing = false;

  const textOf = content => Array.from(content.children, line => line.textContent).join('\n');
  const isTyped = cell => cell !== undefined && textOf(cell.content) !== cell.before;

  const note = event => {
    for (const one of new Set([event.target, document.activeElement])) {
      const content = one instanceof Element ? one.closest('.cm-content') : null;
      const id = content?.closest('[data-cell-id]')?.dataset.cellId;
      if (!id) continue;
      if (!cells.has(id)) cells.set(id, { content, before: textOf(content), order: null, told: false, timer: 0 });
      restart(id);
    }
  };

  const restart = id => {
    const cell = cells.get(id);
    clearTimeout(cell.timer);
    cell.timer = setTimeout(leave, QUIET, id);
  };

  const leave = id => {
    if (sending) return restart(id);
    const { order, told } = cells.get(id);
    cells.delete(id);
    if (!told) order?.();
  };

  /** Return a message of the server without the orders that wait; the message itself if none does. */
  const withoutWaiting = (text, deliver) => {
    if (typeof text !== 'string' || !text.includes(ORDER)) return text;
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return text;
    }
    const { transaction } = message.data ?? {};
    if (!Array.isArray(transaction?.changes)) return text;
    const withChanges = changes => JSON.stringify({ ...message, data: { ...message.data, transaction: { ...transaction, changes } } });
    const left = transaction.changes.filter(change => {
      const cell = change.type === ORDER ? cells.get(change.cellId) : undefined;
      if (!isTyped(cell)) {
        if (cell) forget(change.cellId); // its text from before is no longer that
        return true;
      }
      Object.assign(cell, { told: false, order: () => deliver(withChanges([change])) });
      return false;
    });
    return left.length === transaction.changes.length ? text : withChanges(left);
  };

  const forget = id => {
    clearTimeout(cells.get(id).timer);
    cells.delete(id);
  };

  for (const type of ['keydown', 'beforeinput', 'input', 'compositionstart', 'paste', 'cut', 'drop', 'mousedown']) addEventListener(type, note, true);

  window.WebSocket = class extends WebSocket {
    constructor(...words) {
      super(...words);
      const deliver = data => {
        passing = true;
        this.dispatchEvent(new MessageEvent('message', { data }));
        passing = false;
      };
      this.addEventListener('message', event => {
        if (passing) return;
        const text = withoutWaiting(event.data, deliver);
        if (text === event.data) return;
        event.stopImmediatePropagation();
        deliver(text);
      });
    }
  };

  const send = window.fetch;
  window.fetch = (input, init) => {
    if (!String(input?.url ?? input).endsWith(TRANSACTION)) return send(input, init);
    const body = init?.body ?? input.clone().text();
    const answer = send(input, init); // in this turn: a run that follows must not overtake it
    sending++;
    noteTold(body, answer).finally(() => sending--);
    return answer;
  };

  const noteTold = async (body, answer) => {
    try {
      const [text, { ok }] = await Promise.all([body, answer]);
      const { changes = [] } = JSON.parse(text);
      for (const { type, cellId } of ok ? changes : []) if (type === ORDER && cells.get(cellId)?.order) cells.get(cellId).told = true;
    } catch {
      // The answer is marimo's own matter, and so is what it sends.
    }
  };
})();
