/** How fast is spoken; 1 is the voice's own. */
export const RATES = { slow: 0.75, normal: 1, quick: 1.25 };
export type Rate = keyof typeof RATES;

export function nearestRate(rate: number): Rate {
  const distance = (name: Rate) => Math.abs(RATES[name] - rate);
  return (Object.keys(RATES) as Rate[]).reduce((best, name) => (distance(name) < distance(best) ? name : best));
}
