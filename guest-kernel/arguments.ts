/**
 * Memory for hypercall arguments: one page cut into slots, one for each level of nesting, so that a
 * handler that interrupts a hypercall's preparation does not overwrite it.
 */

/** Bytes of a slot. */
export const SLOT_BYTES = 512;
const LEVELS = 4096 / SLOT_BYTES;

export class ArgumentPage {
  readonly #base: number;
  /** Address of the current level's slot. */
  slot: number;

  constructor(va: number) {
    this.#base = va;
    this.slot = va;
  }

  get level(): number {
    return (this.slot - this.#base) / SLOT_BYTES;
  }

  set level(level: number) {
    this.slot = this.#base + level * SLOT_BYTES;
  }

  /** A handler begins. @throws RangeError when handlers nest deeper than there are slots. */
  enter(): void {
    this.slot += SLOT_BYTES;
    if (this.slot === this.#base + LEVELS * SLOT_BYTES) {
      this.slot -= SLOT_BYTES;
      throw new RangeError(`hypercall arguments: handlers nest more than ${LEVELS} deep`);
    }
  }

  leave(): void {
    this.slot -= SLOT_BYTES;
  }
}
