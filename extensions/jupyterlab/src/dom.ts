/** Elements of the page. Whatever agents wrote goes in as text, never as HTML. */

type Child = Node | string;

/** Return a new element with a class, texts or elements in it, and attributes. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className: string,
  children: Child[] = [],
  attributes: Record<string, string> = {}
): HTMLElementTagNameMap[Tag] {
  const node = document.createElement(tag);
  node.className = className;
  node.append(...children);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** Return a button; `label` is what it does, in full, for those who do not see where it stands. */
export function button(text: string, label: string, className: string, act: () => void): HTMLButtonElement {
  const node = element('button', `mkb-Button ${className}`, [text], { type: 'button', 'aria-label': label, title: label });
  node.addEventListener('click', act);
  return node;
}
