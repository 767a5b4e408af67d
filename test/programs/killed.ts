/** The end of a program by a signal. */
export class Killed {
  readonly signal: number;
  readonly why: string;

  constructor(signal: number, why: string) {
    this.signal = signal;
    this.why = why;
  }
}
