/** marimo's front end, which believes to be alone on its page, in the texts that this page needs. */

/** The address of marimo's server for its front end: there is none, and the page answers in its place. */
export const SERVER = 'http://marimo.invalid/';

/**
 * What a chunk has to have otherwise, as it is not alone on its page. One that does not match any more fails softly.
 * @type {[RegExp, string][]}
 */
export const PATCHES = [
  [/\b(createElement|querySelector)\((["'`])base\2\)/g, '$1("mkb-base")'], // a <base> would break the page's own addresses
  [/\bdocument\.getElementById\((["'`])root\1\)/g, 'mkbPage.root'],
  [/\b(?:window|globalThis)\.(fetch|history|__MARIMO_\w+)/g, 'mkbPage.$1'],
  [/\bwindow\[(\w+)\]/g, 'mkbPage.names[$1]'], // what would be globals of the page
  [/\bglobalThis(?=\)?\.__zod_)/g, 'mkbPage.names'],
  [/\bdocument\.querySelector\(`link\[rel~='icon'\]`\)/g, 'mkbPage.icon'],
  [/\bdocument\.body\.(classList|dataset)\b/g, 'mkbPage.body.$1'], // theme and locks
  [/\bdocument\.body\.(set|remove|get)Attribute\b/g, 'mkbPage.body.$1Attribute'],
  [/\bobserve\(document\.body,\{attributes\b/g, 'observe(mkbPage.body,{attributes'],
  [/\bcollisionBoundary:([\w$]+)\}\)/g, 'collisionBoundary:mkbPage.boundary($1)})'], // what opens over an output stays in that
  [/\bHTMLElement\.prototype,\s*(["'`])focus\1/g, 'HTMLElement.mkbNone??{},"focus"'], // overrides it for the whole page
  [/\.href\.endsWith\((["'`])\.css\1\)/g, '.href.endsWith("\\0")'], // would take the page's style sheets into its elements
  [/\b[\w$]+\.warn\(`Cell ID \$\{[\w$]+\} cannot be found`\)/g, 'void 0'], // no element is in one of marimo's cells here
  [/https:\/\/cdn\.jsdelivr\.net\/[\w@./-]+\.js\b/g, 'data:text/javascript,'], // nothing is fetched from elsewhere
  [/\bimport\(\s*(["'`])\.\/([^"'`]+\.js)\1\s*\)/g, 'mkbPage.chunk("$2")'],
  [/__vite__mapDeps\(\[[^\]]*\]\)/g, '[]']
];

const IMPORTS = /((?:\bfrom|\bimport)\s*)(["'`])\.\/([^"'`]+\.js)\2/g;

/**
 * Return the text of a chunk for this page. `urlOf` gives the address of another chunk, `page` that of the module with `mkbPage`.
 * @param {string} name @param {string} text @param {(name: string) => string} urlOf @param {string} page
 */
export function rewritten(name, text, urlOf, page) {
  let source = text.replace(IMPORTS, (_, before, quote, chunk) => before + quote + urlOf(chunk) + quote);
  for (const [pattern, replacement] of PATCHES) source = source.replace(pattern, replacement);
  source = source.replaceAll('import.meta.url', JSON.stringify(`${SERVER}assets/${name}`));
  // With a loader of AMD modules on the page, parts of the chunk would register there and export nothing.
  return `import{page as mkbPage}from"${page}";const fetch=mkbPage.fetch,WebSocket=mkbPage.WebSocket,Request=mkbPage.Request,define=void 0;${source}`;
}

/**
 * Return the style sheets that the page needs of the front end's: `properties` count in the document only, `overlays` are the styles of
 * what its grid opens in the page's body, `elements` is what the front end copies into its elements, `outputs` is for what stands around them.
 * @param {string} css
 */
export function styles(css) {
  const elements = css.replace(/@font-face\s*\{[^}]*\}/g, '').replace(/url\(["']?\.\/[^)]*\)/g, 'none');
  const properties = (elements.match(/@property\s+--[^{]*\{[^}]*\}/g) ?? []).join('\n');
  const overlays = (elements.match(/[^{}]*\.gdg-[^{}]*\{[^{}]*\}/g) ?? []).join('\n');
  return { properties, overlays, elements, outputs: elements.replaceAll(':root', ':host') };
}
