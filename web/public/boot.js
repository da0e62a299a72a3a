// Looks after the page until it runs: one that lost the server while it loaded, or that lacks a file since the server
// was updated, is loaded again as soon as the server answers; once a minute at most.
(() => {
  const KEY = "visage.rebooted";
  const PAUSE_MS = 60_000;

  const lastMs = () => {
    try {
      return Number(sessionStorage.getItem(KEY) ?? 0);
    } catch {
      return performance.timeOrigin;
    }
  };

  const again = async () => {
    const there = await fetch("/sw.js", { cache: "no-store" }).then(
      (reply) => reply.status < 500,
      () => false,
    );
    if (!there || Date.now() - lastMs() < PAUSE_MS) {
      setTimeout(again, 1_000);
      return;
    }
    try {
      sessionStorage.setItem(KEY, String(Date.now()));
    } catch {
      // A tab that keeps nothing waits for a minute each time.
    }
    location.reload();
  };

  const fails = ({ target }) => {
    if (!(target instanceof HTMLScriptElement) || target.type !== "module") return;
    removeEventListener("error", fails, true);
    void again();
  };
  addEventListener("error", fails, true);
})();
