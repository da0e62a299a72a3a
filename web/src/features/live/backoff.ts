const FIRST_MS = 400;
const LONGEST_MS = 8_000;
const SPREAD = 0.25;

/**
 * How long to wait before another attempt: twice as long each time, at most eight seconds, and not all devices at once.
 *
 * @param failures in a row, from 1.
 * @param chance 0–1.
 */
export function waitMs(failures: number, chance: number): number {
  const base = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
  return base * (1 - SPREAD + 2 * SPREAD * chance);
}
