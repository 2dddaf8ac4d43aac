/** Whether the page is light or dark. */

/** @param {HTMLElement} body */
export function themeOf({ dataset }) {
  return dataset.vscodeThemeKind ?? (dataset.jpThemeLight === 'false' ? 'vscode-dark' : 'vscode-light');
}

/** @param {string} kind */
export function themeClass(kind) {
  return kind.includes('light') ? 'contents light light-theme' : 'contents dark dark-theme';
}

/** Tell the theme of the page, now and whenever it changes. @param {(kind: string) => void} tell */
export function followTheme(tell) {
  const { body } = document;
  new MutationObserver(() => tell(themeOf(body))).observe(body, { attributeFilter: ['data-jp-theme-light', 'data-vscode-theme-kind'] });
  tell(themeOf(body));
}
