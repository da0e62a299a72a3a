/**
 * The target false-name rate in words: how many strangers in a thousand may be given a name. A number that someone set
 * by hand lies nearest to one of them.
 */
export const CAUTION = { silent: 0.002, balanced: 0.01, ready: 0.03 };
export type Caution = keyof typeof CAUTION;

/** The words for a rate; by ratio, since rates differ by factors. */
export function cautionOf(rate: number): Caution {
  const distance = (name: Caution) => Math.abs(Math.log(CAUTION[name] / rate));
  return (Object.keys(CAUTION) as Caution[]).reduce((best, name) => (distance(name) < distance(best) ? name : best));
}

/** Days after which somebody who is not seen any more is forgotten; "never" is null. */
export const RETENTION = { never: null, "90": 90, "365": 365, "730": 730 } as const;
export type Retention = keyof typeof RETENTION;

export function retentionOf(days: number | null): Retention {
  if (days === null) return "never";
  const distance = (name: Exclude<Retention, "never">) => Math.abs(Number(name) - days);
  return (["90", "365", "730"] as const).reduce((best, name) => (distance(name) < distance(best) ? name : best));
}
