// Helpers for a page without a framework: create elements and keep lists in sync.

/** An element with properties (`class`, `on…`, `data-…`, `aria-…`, anything else) and children. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else element.setAttribute(name, value === true ? "" : value);
}

/**
 * Make the children of `container` those that `items` call for, in this order. What has not changed
 * is not touched, so that focus stays and screen readers hear only what is new.
 */
export function sync(container, items, { key, version, create }) {
  const before = new Map([...container.children].map((child) => [child.dataset.key, child]));
  let place = container.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    const stamp = JSON.stringify(version(item));
    let element = before.get(name);
    before.delete(name);
    if (element?.dataset.version !== stamp) {
      const fresh = create(item);
      fresh.dataset.key = name;
      fresh.dataset.version = stamp;
      if (element) {
        if (element === place) place = fresh;
        const focused = element.contains(document.activeElement);
        element.replaceWith(fresh);
        if (focused) (fresh.matches("button") ? fresh : fresh.querySelector("button"))?.focus();
      }
      element = fresh;
    }
    if (element === place) place = element.nextElementSibling;
    else container.insertBefore(element, place);
  }
  for (const gone of before.values()) gone.remove();
}

/** Scroll a conversation to its end, unless the reader has scrolled up in it. */
export function keepAtEnd(list, change) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  change();
  if (atEnd) list.scrollTop = list.scrollHeight;
}
