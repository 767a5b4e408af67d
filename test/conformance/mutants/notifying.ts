/** Faults of notification, and of the look before sleep. */
import { PlainEnd } from './plain-end.ts';
import { BOTH, mutant, type RingMutant } from './ring-mutant.ts';

export const NOTIFYING: readonly RingMutant[] = [
  mutant(
    'RING-10',
    'threshold off by one',
    BOTH,
    class extends PlainEnd {
      override owed(old: number, threshold: number): boolean {
        return super.owed(old, threshold + 1);
      }
    },
  ),
  mutant(
    'RING-10',
    'notifies only for the first of a batch',
    BOTH,
    class extends PlainEnd {
      override owed(old: number, threshold: number): boolean {
        return threshold === (old + 1) >>> 0 && this.pushed !== old;
      }
    },
  ),
  mutant(
    'RING-10',
    'never notifies',
    BOTH,
    class extends PlainEnd {
      override owed(): boolean {
        return false;
      }
    },
  ),
  mutant(
    'RING-11',
    'threshold read before the index is written',
    BOTH,
    class extends PlainEnd {
      override push(): number {
        const old = this.pushed;
        const threshold = this.ring.get32(this.peerThreshold);
        this.publish(this.pvt);
        return Number(this.owed(old, threshold));
      }
    },
  ),
  mutant(
    'RING-12',
    'always notifies',
    BOTH,
    class extends PlainEnd {
      override owed(): boolean {
        return true;
      }
    },
    'warn',
  ),
  mutant(
    'RING-12',
    'threshold already passed',
    BOTH,
    class extends PlainEnd {
      override owed(old: number, threshold: number): boolean {
        return (this.pushed - threshold) >>> 0 <= (this.pushed - old) >>> 0;
      }
    },
    'warn',
  ),
  mutant(
    'RING-16',
    'lost arm',
    BOTH,
    class extends PlainEnd {
      override arm(): void {}
    },
  ),
  mutant(
    'RING-16',
    'armed for a message already taken',
    BOTH,
    class extends PlainEnd {
      override arm(): void {
        this.ring.set32(this.threshold, this.cons);
      }
    },
  ),
  mutant(
    'RING-16',
    'armed one too far',
    BOTH,
    class extends PlainEnd {
      override arm(): void {
        this.ring.set32(this.threshold, (this.cons + 2) >>> 0);
      }
    },
  ),
  mutant(
    'RING-17',
    'no second look',
    BOTH,
    class extends PlainEnd {
      override finalCheck(): number {
        if (this.more(this.look())) return 1;
        this.arm();
        return 0;
      }
    },
  ),
  mutant(
    'RING-17',
    'late arm: after the second look',
    BOTH,
    class extends PlainEnd {
      override finalCheck(): number {
        if (this.more(this.look())) return 1;
        const more = this.more(this.look());
        this.arm();
        return Number(more);
      }
    },
  ),
  mutant(
    'RING-18',
    'always more to do',
    BOTH,
    class extends PlainEnd {
      override finalCheck(): number {
        this.arm();
        return 1;
      }
    },
    'warn',
  ),
  mutant(
    'RING-18',
    'never more to do',
    BOTH,
    class extends PlainEnd {
      override finalCheck(): number {
        super.finalCheck();
        return 0;
      }
    },
  ),
];
