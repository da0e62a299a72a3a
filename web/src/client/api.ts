import createClient from "openapi-fetch";
import { connection } from "./connection";
import type { components, paths } from "./schema";

/** Things on the wire, by their name in the OpenAPI document. */
export type Schema = components["schemas"];
export type Person = Schema["Person"];
export type PersonWithPhotos = Schema["PersonWithPhotos"];
export type IdentifiedFace = Schema["IdentifiedFace"];

/** A request that was refused or did not arrive; `code` is one of docs/errors.md, or NO_CONNECTION. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** Every route, typed. Wrap calls in `call`: `await call(api.GET("/api/v1/persons"))`. */
export const api = createClient<paths>({ baseUrl: "/" });

type Refused = { error: { code: string; message: string; details?: Record<string, unknown> | null } };

/** The `data` of a reply; an ApiError where there is none. */
export async function call<T>(
  request: Promise<{ data?: { data: T }; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await reach(request);
  if (data !== undefined) return data.data;
  throw refused(error, response);
}

/** As `call`, for pictures and archives: made with `parseAs: "blob"`. */
export async function callBlob(
  request: Promise<{ data?: unknown; error?: unknown; response: Response }>,
): Promise<Blob> {
  const { data, error, response } = await reach(request);
  if (data instanceof Blob) return data;
  throw refused(error, response);
}

/** A form, for `body` of a route that takes one; use with `bodySerializer: asForm`. Undefined and null are left out. */
export function asForm(fields: object): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const part of Array.isArray(value) ? value : [value]) {
      if (part instanceof File) form.append(name, part, part.name);
      else if (part instanceof Blob) form.append(name, part, "picture.jpg");
      else if (part !== undefined && part !== null) form.append(name, String(part));
    }
  }
  return form;
}

/** What went wrong in a reply; the rest of the page learns of it where that concerns it. */
export function refused(body: unknown, response: Response): ApiError {
  if (response.status === 401 || response.status === 403) connection.doubt();
  if (response.status === 503) connection.check();
  return errorOf(body, response);
}

/** What went wrong in a reply. */
export function errorOf(body: unknown, response: Response): ApiError {
  const error = (body as Partial<Refused> | undefined)?.error;
  return new ApiError(
    error?.code ?? "INTERNAL_ERROR",
    error?.message ?? response.statusText,
    response.status,
    error?.details ?? {},
  );
}

async function reach<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch {
    connection.check();
    throw new ApiError("NO_CONNECTION", "The server cannot be reached", 0);
  }
}
