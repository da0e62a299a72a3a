/*
 * Focus never falls to the document. Whoever goes by keyboard, or has the page read aloud, would have to begin anew.
 */

/** What had the focus, and where it stood: each element around it, with the place of the part that held it. */
interface Place {
  element: HTMLElement;
  around: readonly { parent: Element; index: number }[];
}

const FOCUSABLE =
  "a[href], button:not(:disabled), input:not(:disabled, [type=file]), select:not(:disabled), " +
  "textarea:not(:disabled), summary";

/** Where the focus was last on the page itself, not in a dialog or a message over it. */
let last: Place | null = null;
/** What has the focus, wherever it is. */
let focused: Element | null = null;

/** Watch the focus from now on: what takes the place of an element that goes is focused instead of it. */
export function keepFocus(page: HTMLElement): () => void {
  const note = (event: Event) => {
    if (!(event.target instanceof HTMLElement)) return;
    // Safari does not focus a button that is pressed.
    const element = event.type === "click" ? event.target.closest<HTMLElement>(FOCUSABLE) : event.target;
    if (element === null) return;
    focused = element;
    if (page.contains(element) && element.closest("[data-messages]") === null) last = placeOf(element);
  };
  const mend = () => {
    if (document.querySelector("[role=dialog]") !== null) return;
    const { activeElement } = document;
    const gone = activeElement === document.body && focused?.isConnected === false;
    if (gone || activeElement?.matches("[data-messages]:empty")) returnFocus();
  };
  const changes = new MutationObserver(mend);
  changes.observe(document.body, { childList: true, subtree: true });
  document.addEventListener("focusin", note);
  document.addEventListener("click", note, true);
  return () => {
    changes.disconnect();
    document.removeEventListener("focusin", note);
    document.removeEventListener("click", note, true);
  };
}

/** Focus what was focused last on the page: what opened a dialog. Where it has gone, what stands in its place. */
export function returnFocus(): void {
  focused = null;
  if (last === null) return;
  if (last.element.isConnected) last.element.focus();
  else successorOf(last).focus();
}

function placeOf(element: HTMLElement): Place {
  const around: { parent: Element; index: number }[] = [];
  for (let child: Element = element; child.parentElement !== null; child = child.parentElement)
    around.push({ parent: child.parentElement, index: [...child.parentElement.children].indexOf(child) });
  return { element, around };
}

/** The next that can be focused after where something stood, else the one before it, as near as there is one. */
function successorOf({ around }: Place): HTMLElement {
  const main = document.getElementById("main") ?? document.body;
  for (const { parent, index } of around) {
    if (!parent.isConnected) continue;
    if (parent.contains(main)) break;
    const there = [...parent.querySelectorAll<HTMLElement>(FOCUSABLE)].filter((each) => each.checkVisibility());
    const from = parent.children[index];
    const next = from && there.find((each) => from.contains(each) || isBefore(from, each));
    const found = next ?? there.at(-1);
    if (found !== undefined) return found;
  }
  return main;
}

function isBefore(first: Element, second: Element): boolean {
  return (first.compareDocumentPosition(second) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0;
}
