// Keeps the list of a mailbox current. The page works without it. Only the list is ever replaced, so that
// nobody loses what they are typing or reading.
"use strict";

(() => {
  const POLL_MS = 2000;
  const list = document.getElementById("mail-list");
  const arrived = document.getElementById("mail-arrived");
  if (!list || !arrived) return;

  const form = document.querySelector("form.compose");
  const title = document.title;
  let isDirty = false;
  let unseen = 0;
  if (form) form.addEventListener("input", () => { isDirty = true; });

  async function text(url) {
    const answer = await fetch(url, { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    return answer.text();
  }

  function say(newest) {
    unseen += 1;
    document.title = `New mail · ${title}`;
    arrived.replaceChildren("New mail: ");
    if (!newest) return;
    const subject = newest.querySelector(".row-subject").textContent;
    // Following a link would discard the text being written.
    if (isDirty) {
      arrived.append(subject);
      return;
    }
    const link = document.createElement("a");
    link.href = newest.href;
    link.textContent = subject;
    arrived.append(link);
  }

  async function refresh() {
    const page = new DOMParser().parseFromString(await text(list.dataset.pageUrl), "text/html");
    const fresh = page.getElementById("mail-list");
    if (!fresh) return;
    const known = new Set([...list.querySelectorAll(".row")].map((row) => row.id));
    const focused = list.contains(document.activeElement) ? document.activeElement.id : "";
    list.replaceChildren(...fresh.childNodes);
    list.dataset.count = fresh.dataset.count;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    const added = [...list.querySelectorAll(".row")].filter((row) => !known.has(row.id));
    for (const row of added) row.classList.add("is-new");
    if (added.length > 0) say(added[0]);
  }

  async function poll() {
    try {
      const count = (await text(list.dataset.countUrl)).trim();
      if (count !== list.dataset.count) await refresh();
    } catch {
      // The next round tries again.
    }
    setTimeout(poll, POLL_MS);
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && unseen > 0) {
      unseen = 0;
      document.title = title;
    }
  });
  setTimeout(poll, POLL_MS);
})();
