/**
 * Makes marimo's elements live in a page of Jupyter: runs the front end of the marimo that the kernel has, with the kernel as its server.
 *
 * It loads as an anywidget (`initialize`), or a front end's own extension gives it a carrier (`connect`). Either way messages go both
 * ways and cells keep their plain HTML: a static form in a placeholder, which stands wherever this file does not run. Owns nothing of a
 * notebook: it changes outputs on the page and what is saved of them, never a cell's code.
 *
 * The front end's chunks are taken as they are, but for `PATCHES`: it believes to be alone on its page.
 *
 * For an anywidget the kernel joins these files into one (`loader_source`): each is imported by its names alone, and no two have the
 * same name at the top.
 */
/** @import {Carrier, Connection} from './messages.js' */
import { Line, repeated } from './lines.js';
import { LOADER } from './messages.js';
import { Page } from './page.js';

/** Each kernel brings this file, and an extension has it: they share one page. */
const PAGE = Symbol.for(`marimo_kernel_bridge.live.${LOADER}`);

function sharedPage() {
  const shared = /** @type {{[PAGE]?: Page}} */ (globalThis);
  return (shared[PAGE] ??= new Page());
}

/** Elements are expected: have ready what the browser keeps of marimo's front end. */
export function warmUp() {
  return sharedPage().warmUp();
}

/** A kernel that has this front end will be asked for elements. @param {string} assets */
export function expect(assets) {
  sharedPage().prepare(assets);
}

/** It will be known soon which kernel a notebook has. @param {Node} root what shows it @returns {() => void} to be called when it is known */
export function expectKernel(root) {
  return sharedPage().expectKernel(root);
}

/**
 * Connect this page to a kernel.
 * @param {Carrier} carrier
 * @returns {Connection}
 */
export function connect(carrier) {
  const page = sharedPage();
  /** @type {Line | null} */
  let line = null;
  const stop = repeated(() => carrier.send({ type: 'hello', page: page.id, loader: LOADER }));
  return {
    receive(message, buffers = []) {
      if (message.type !== 'welcome') return line?.carrier === carrier ? line.receive(message, buffers) : undefined;
      stop();
      if (line) return; // the answer to a greeting that was repeated
      line = page.lines.get(message.key) ?? new Line(page, message.key, message.assets);
      line.carriers.push(carrier);
      page.add(line);
      page.scan();
      if (carrier.expects) page.prepare(line.assets);
    },
    close() {
      stop();
      if (!line) return;
      line.carriers = line.carriers.filter(one => one !== carrier);
      if (!line.carrier) page.leave(line);
      else line.send({ type: 'hello', loader: LOADER });
    }
  };
}

/** An anywidget without a view. */
export default {
  /** @param {{model: any}} context */
  initialize({ model }) {
    const { receive, close } = connect({
      send: message => model.send(message),
      notebook: () => model.widget_manager?.context?.model
    });
    model.on('msg:custom', receive);
    return () => {
      model.off('msg:custom', receive);
      close();
    };
  },
  render() {}
};
