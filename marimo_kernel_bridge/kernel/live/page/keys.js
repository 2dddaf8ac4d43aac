/** Which keys are an element's, and which the page's. */

/**
 * Whether a key pressed in an element is not for the page: `dd` deletes no cell, Ctrl+A selects no cells, but Ctrl+S saves.
 * @param {KeyboardEvent} event
 */
export function isForElement({ ctrlKey, metaKey, key }) {
  return (!ctrlKey && !metaKey) || /^([acvxyz/]|Enter|Backspace|Delete|Home|End|Arrow\w+)$/i.test(key);
}
