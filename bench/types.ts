/** One measured figure; `reference` is the same work done by something else, `aim` what we want. */
export interface BenchRow {
  name: string;
  value: number;
  unit: string;
  reference?: { name: string; value: number };
  aim?: string;
}
