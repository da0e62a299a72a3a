import { connection } from "@/client/connection";
import { waitMs } from "./backoff";
import type { Reply } from "./scene";

/** An answer that takes longer is not waited for: the connection is made anew. */
const PATIENCE_MS = 10_000;

/** How the server closes a connection whose key or session is good no longer. */
const KEY_GONE = 1008;

export interface Link {
  /** Send a frame and wait for what the server says of it; null where it refuses the frame or the connection breaks. */
  ask(frame: ArrayBuffer): Promise<Reply | null>;
  /** Ask not before this is true. */
  readonly isOpen: boolean;
  close(): void;
}

/**
 * A connection to `/ws/identify` that comes back by itself. One frame is under way at most.
 *
 * @param onChange the connection opened or broke.
 */
export function openLink(onChange: (open: boolean) => void): Link {
  let socket: WebSocket | undefined;
  let answer: ((reply: Reply | null) => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let closed = false;

  const settle = (reply: Reply | null) => {
    answer?.(reply);
    answer = undefined;
  };

  const connect = () => {
    clearTimeout(timer);
    if (closed || socket !== undefined) return;
    const opened = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/identify`);
    socket = opened;
    opened.onopen = () => onChange(true);
    opened.onmessage = (event) => {
      const message = read(event.data);
      if (message?.type === "identification") failures = 0;
      settle(message?.type === "identification" ? message : null);
    };
    opened.onclose = ({ code }) => {
      if (socket !== opened) return;
      socket = undefined;
      settle(null);
      onChange(false);
      if (closed) return;
      failures += 1;
      // A handshake that is refused for want of a key looks like a lost connection: the check tells them apart.
      if (code === KEY_GONE) connection.doubt();
      else connection.check();
      timer = setTimeout(connect, waitMs(failures, Math.random()));
    };
  };

  const again = () => {
    failures = 0;
    connect();
  };
  const ends = connection.onBack(again);
  addEventListener("online", again);
  connect();

  return {
    get isOpen() {
      return socket?.readyState === WebSocket.OPEN;
    },
    ask(frame) {
      const asked = socket;
      if (asked?.readyState !== WebSocket.OPEN) return Promise.resolve(null);
      return new Promise((resolve) => {
        const patience = setTimeout(() => {
          // A browser closes a dead connection only after a minute; it is given up at once.
          asked.onclose?.(new CloseEvent("close"));
          asked.close();
        }, PATIENCE_MS);
        answer = (reply) => {
          clearTimeout(patience);
          resolve(reply);
        };
        asked.send(frame);
      });
    },
    close() {
      closed = true;
      ends();
      removeEventListener("online", again);
      clearTimeout(timer);
      if (socket !== undefined) socket.onclose = null;
      socket?.close();
      settle(null);
    },
  };
}

function read(data: unknown): (Reply & { type: string }) | null {
  try {
    return JSON.parse(String(data));
  } catch {
    return null;
  }
}
