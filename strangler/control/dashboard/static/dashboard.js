"use strict";
// Keeps the page up to date: the server sends the content again when it has changed, and only what differs is
// replaced, so that focus, selection and typed text stay.

(() => {
  const content = document.getElementById("content");
  const told = document.getElementById("live");
  const KEPT = new Set(["INPUT", "TEXTAREA", "SELECT"]);

  const sameKind = (one, other) =>
    one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id || "") === (other.id || "");

  const fitAttributes = (old, fresh) => {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(old.nodeName === "DETAILS" && name === "open")) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  };

  const fit = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.hasAttribute("data-still") || old.isEqualNode(fresh)) return;
    fitAttributes(old, fresh);
    if (KEPT.has(old.nodeName) && old.type !== "hidden") return;
    fitChildren(old, fresh);
  };

  const removeUntil = (at, end) => {
    while (at !== end) {
      const following = at.nextSibling;
      at.remove();
      at = following;
    }
  };

  // Each new node is merged into the next old node of its kind; old nodes before that are removed.
  const fitChildren = (old, fresh) => {
    let at = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      let match = at;
      while (match && !sameKind(match, next)) match = match.nextSibling;
      if (!match) {
        old.insertBefore(document.importNode(next, true), at);
        continue;
      }
      removeUntil(at, match);
      at = match.nextSibling;
      fit(match, next);
    }
    removeUntil(at, null);
  };

  // "All on this page" is shown where scripts run; without it, each box is still a part of the form. So are buttons
  // that copy a text, where the browser lets a page do so; without them, the text can be selected.
  const offerAll = () => {
    for (const every of document.querySelectorAll("[data-every]")) every.closest("label").hidden = false;
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  };

  const show = (html) => {
    const ticked = [...content.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.id);
    const fresh = document.createElement("template");
    fresh.innerHTML = html; // written by the server, which has escaped all that came from traffic
    fitChildren(content, fresh.content);
    for (const id of ticked) {
      const box = document.getElementById(id); // a row that has moved was inserted again
      if (box) box.checked = true;
    }
    offerAll();
  };

  const say = (text, isStale) => {
    if (!told) return;
    told.textContent = text;
    told.classList.toggle("stale", isStale);
  };

  document.addEventListener("click", ({ target }) => {
    const text = target.dataset.copy && document.getElementById(target.dataset.copy)?.textContent;
    if (!text) return;
    navigator.clipboard.writeText(text).then(
      () => (target.textContent = "Copied"),
      () => (target.textContent = "Not copied: select it"),
    );
  });

  document.addEventListener("change", ({ target }) => {
    if (!target.dataset.every) return;
    for (const box of document.querySelectorAll(`input[name="id"][form="${target.dataset.every}"]`)) {
      box.checked = target.checked;
    }
  });
  offerAll();

  // A hidden page closes its stream: browsers keep six connections to a host, and a seventh tab would wait for ever.
  const follow = () => {
    let stream = null;

    const close = () => {
      if (stream) stream.close();
      stream = null;
    };

    const open = () => {
      if (stream || document.hidden) return;
      const mine = (stream = new EventSource(content.dataset.live));
      mine.onopen = () => say("live", false);
      mine.onerror = () => {
        if (stream !== mine) return;
        say("not connected; trying again", true);
        // The browser tries again by itself, unless it was refused: then the page says why, or asks to log in.
        if (mine.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
      };
      mine.addEventListener("content", (event) => show(JSON.parse(event.data)));
      mine.addEventListener("leave", () => {
        close();
        location.reload();
      });
    };

    const adapt = () => {
      if (!document.hidden) return open();
      close();
      say("paused while hidden", false);
    };

    document.addEventListener("visibilitychange", adapt);
    addEventListener("pagehide", close);
    addEventListener("pageshow", adapt); // also of a page that the browser restores
    adapt();
  };

  if (content && content.dataset.live && "EventSource" in window) follow();
  else say("", false);
})();
