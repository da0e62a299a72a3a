import { ApiError } from "@/client/api";

/** What can be typed in to open a backup. */
export type Secret = "recovery_key" | "passphrase";

/**
 * What would open a backup that was refused; empty where only a file would, which has no place on
 * this page; null where it was refused for something else.
 */
export function neededOf(error: unknown): Secret[] | null {
  if (!(error instanceof ApiError) || error.code !== "INVALID_BACKUP") return null;
  const { needs } = error.details;
  if (!Array.isArray(needs) || needs.includes("server_passphrase")) return null;
  return (["recovery_key", "passphrase"] as const).filter((secret) => needs.includes(secret));
}
