// Keeps the shell of the page, so that it opens at once, and nothing else: never an answer of the API, never a face.
const CACHE = "visage-shell-__VERSION__";
const SHELL = "__SHELL__";
const SCREENS = /^\/(people(\/[^/]+)?|add|unknown|report|settings)?$/;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)));
  self.skipWaiting();
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (event.request.mode === "navigate" && SCREENS.test(url.pathname)) {
    // The newest page where the server is there; the kept one where it is not, to say so.
    event.respondWith(fetch(event.request).catch(() => caches.match("/")));
  } else if (SHELL.includes(url.pathname)) {
    event.respondWith(caches.match(url.pathname).then((kept) => kept ?? fetch(event.request)));
  }
});
