import { refused } from "./api";

/** How far a download or upload is: bytes so far, and of how many where that is known. */
export interface Progress {
  done: number;
  of: number | null;
}

/** Fetch a file by POST, telling how far it is, and let the browser keep it. */
export async function download(
  path: string,
  name: string,
  onProgress: (progress: Progress) => void = () => {},
): Promise<void> {
  const response = await fetch(path, { method: "POST", cache: "no-store" });
  if (!response.ok) throw refused(await response.json().catch(() => undefined), response);
  const length = Number(response.headers.get("Content-Length"));
  const reader = response.body?.getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    parts.push(part.value as Uint8Array<ArrayBuffer>);
    done += part.value.length;
    onProgress({ done, of: length > 0 ? length : null });
  }
  keep(new Blob(parts, { type: response.headers.get("Content-Type") ?? "" }), nameOf(response) ?? name);
}

/** Send a form, telling how far it is. `fetch` cannot tell that of what it sends. */
export function upload(path: string, form: FormData, onProgress: (progress: Progress) => void): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    request.upload.onprogress = (event) =>
      onProgress({ done: event.loaded, of: event.lengthComputable ? event.total : null });
    request.onerror = () => reject(refused({ error: { code: "NO_CONNECTION", message: "" } }, new Response()));
    request.onload = () => {
      if (request.status < 400) resolve(request.response?.data);
      else reject(refused(request.response ?? undefined, new Response(null, { status: request.status })));
    };
    request.send(form);
  });
}

function keep(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function nameOf(response: Response): string | null {
  return /filename="([^"/\\]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? null;
}
