/**
 * Watches the peer's accesses to the page of a byte ring: where it may write, what the writing did, and what it can
 * have seen. The one idea: whole words may be written where only some of their bytes are meant, so places are
 * judged by the bytes that changed, and everything that is not the peer's own by the attempt.
 */
import { nameOf, PAGE_BYTES } from './byte-page.ts';
import type { ByteRun, ByteVerb } from './byte-run.ts';

export class ByteWatch {
  readonly #run: ByteRun;
  readonly #indices: number;
  readonly #shadow = new Uint8Array(PAGE_BYTES); // the page when the peer was last seen at rest
  #verb: ByteVerb | undefined;
  #count = 0; // that the verb was given, or asked for
  #start = 0; // the peer's index of the verb's direction, when it began
  #write: { offset: number; length: number } | undefined; // announced, and now done
  #reached = 0; // where the last write among its bytes ended
  #placed = false; // bytes have changed in this verb
  /** The index is written, and bytes up to it are missing: whether late or never, the end of the verb tells. */
  #early: { from: number; count: number } | undefined;
  #interrupt: { points: number; act: () => void } | undefined;
  // What the peer is taken to know besides its indices: the other end's indices as it last saw them, and,
  // within a verb, the way it came. A peer that remembers more may have states that count as one here.
  readonly #seen = [0, 0];
  #way = 0;
  #wasIndex = true;

  constructor(run: ByteRun) {
    this.#run = run;
    const { out, in: into } = run;
    this.#indices = Math.min(out.cons, out.prod, into.cons, into.prod);
  }

  begin(verb: ByteVerb, count: number): void {
    const { bytes, published, released } = this.#run;
    this.#verb = verb;
    this.#count = count;
    this.#start = verb === 'read' ? released : published;
    this.#write = undefined;
    this.#reached = 0;
    this.#placed = false;
    this.#early = undefined;
    this.#way = 0;
    this.#wasIndex = true;
    this.#shadow.set(bytes);
    if (this.#run.options.peer.grain !== 'access') this.#glance();
  }

  finish(): void {
    if (!this.#run.over && !this.#early && !this.#free) this.#settle();
    this.#judgeEarly();
    this.#verb = undefined;
    this.#way = 0;
  }

  interrupt(points: number, act: () => void): void {
    this.#interrupt = { points, act };
  }

  /** The model writes a byte. */
  setByte(at: number, value: number): void {
    this.#run.bytes[at] = value;
    this.#shadow[at] = value;
  }

  /** One part of what two runs must have in common to have the same future. */
  key(): string {
    return `${this.#verb},${this.#count},${this.#start},${this.#way},${this.#wasIndex};${this.#seen.join()}`;
  }

  point(offset: number, length: number, write: boolean): void {
    const run = this.#run;
    if (run.over || this.#early || this.#free) return;
    this.#settle();
    if (run.over || this.#early) return;
    if (length === 0) this.#pause();
    if (write) this.#claim(offset, length);
    const index = length === 0 || this.#touchesIndex(offset, length);
    if (!run.over && this.#verb !== 'init') this.#disturb(offset, length, write, index);
    this.#wasIndex = index;
    if (run.over) return;
    if (length === 0) this.#glance();
    else if (index) this.#witness(offset, length, write);
    this.#write = write ? { offset, length } : undefined;
  }

  /** Lets the other end move, where that can make a difference: around the accesses to indices. */
  #disturb(offset: number, length: number, write: boolean, index: boolean): void {
    const { out, in: into } = this.#run;
    const word = offset & ~3;
    const own = length > 0 && !write && (word === out.prod || word === into.cons);
    if (own || !(index || this.#wasIndex)) return;
    if (this.#interrupt && this.#interrupt.points-- === 0) {
      this.#interrupt.act();
      this.#interrupt = undefined;
    }
    this.#remark(offset);
    this.#run.between(true, 'point');
  }

  /** The peer is at a barrier. */
  #pause(): void {
    const { published, options } = this.#run;
    if (options.tally && this.#verb === 'write' && this.#placed && published === this.#start) {
      options.tally.placed = true;
    }
  }

  /** Whether the peer may do what it likes. */
  get #free(): boolean {
    return this.#verb === 'init' && this.#run.initWrites;
  }

  /** In both pages the four indices are neighbours. */
  #touchesIndex(offset: number, length: number): boolean {
    return offset < this.#indices + 16 && offset + length > this.#indices;
  }

  /** A peer whose accesses are not seen may have seen all that there is now. */
  #glance(): void {
    const { out, in: into } = this.#run;
    for (const [i, word] of [out.cons, into.prod].entries()) {
      this.#seen[i] = this.#run.word(word);
      this.#remark(word ^ (this.#seen[i]! << 12));
    }
  }

  /** The peer reads or writes an index: what it sees is part of where the run stands. */
  #witness(offset: number, length: number, write: boolean): void {
    const run = this.#run;
    for (let word = offset & ~3; word < offset + length; word += 4) {
      const value = run.word(word);
      this.#remark(write ? ~word : word ^ (value << 12));
      if (write) continue;
      if (word === run.out.cons) this.#seen[0] = value;
      if (word === run.in.prod) this.#seen[1] = value;
      if (run.kept && this.#verb !== 'init') {
        run.note(run.role, `  reads ${nameOf(run.options.page, word)} = ${value}`);
      }
    }
  }

  #remark(value: number): void {
    this.#way = (Math.imul(this.#way ^ value, 0x9e3779b1) ^ (this.#way >>> 13)) | 0;
  }

  /** Judges where the peer is about to write. */
  #claim(offset: number, length: number): void {
    const run = this.#run;
    const { out, in: into, options } = run;
    const last = offset + length;
    const end = out.data + out.size;
    const word = offset & ~3;
    const what = `${this.#verb} writes`;
    if (offset >= out.data && offset < end && this.#verb !== 'init') {
      if (last > end)
        run.find('BYTE-04', `${what} ${last - end} bytes past the end of ${out.label}`);
      this.#reached = last;
      return;
    }
    const name = Object.entries(options.page.words).find(([, at]) => at === word)?.[0];
    if (name !== undefined && last <= word + 4) this.#claimWord(name);
    else if (this.#verb === 'init') run.find('BYTE-01', `${what} ${nameOf(options.page, offset)}`);
    else if ((word !== out.prod && word !== into.cons) || last > word + 4) {
      // Bytes one after the other, up to the end and on: they ought to have been split there.
      const rule = offset === end && this.#reached === end ? 'BYTE-04' : 'BYTE-03';
      run.find(rule, `${what} ${nameOf(options.page, offset)}, which is not its own`);
    }
  }

  /** Of the words after the indices a guest writes one, and only to ask for a reconnection. */
  #claimWord(name: string): void {
    if (this.#run.role === 'back' || name === 'connection') return;
    this.#run.find('BYTE-20', `${this.#verb} writes ${name}, which is the server's`);
  }

  /** Judges what the peer has written since it was last looked at. */
  #settle(): void {
    const { bytes, options } = this.#run;
    const watched = options.peer.grain === 'access';
    if (!watched) this.#settlePage(bytes);
    if (!this.#write) return;
    const { offset, length } = this.#write;
    this.#write = undefined;
    this.#compare(bytes, offset, length);
    if (!this.#touchesIndex(offset, length)) return;
    for (const word of [this.#run.out.prod, this.#run.in.cons]) {
      if (offset < word + 4 && offset + length > word) this.#indexWritten(word);
    }
  }

  /** Of a peer whose accesses are not seen, only what changed can be judged. */
  #settlePage(bytes: Uint8Array): void {
    for (let at = 0; at < PAGE_BYTES; at++) {
      if (bytes[at] !== this.#shadow[at]) this.#claim(at & ~3, 4);
    }
    const { out, in: into } = this.#run;
    const changed = [out.prod, into.cons].filter((word) =>
      [0, 1, 2, 3].some((i) => bytes[word + i] !== this.#shadow[word + i]),
    );
    this.#write = undefined;
    this.#compare(bytes, 0, PAGE_BYTES); // the bytes first: the index may publish them
    for (const word of changed) this.#indexWritten(word);
  }

  #compare(bytes: Uint8Array, offset: number, length: number): void {
    for (let at = offset; at < offset + length; at++) {
      if (bytes[at] === this.#shadow[at]) continue;
      this.#shadow[at] = bytes[at]!;
      this.#byteWritten(at);
    }
  }

  /** A byte has changed. */
  #byteWritten(at: number): void {
    const run = this.#run;
    const { out, published, model } = run;
    if (run.over || at < out.data || at >= out.data + out.size) return;
    this.#placed = true;
    const ahead = (at - out.data - published) & (out.size - 1);
    const free = out.size - ((published - model.consumed) >>> 0);
    const given = this.#verb === 'write' ? (this.#start + this.#count - published) >>> 0 : 0;
    if (ahead < free && ahead < given) return;
    const where = `byte ${at - out.data} of ${out.label}`;
    if (ahead >= free) {
      run.find('BYTE-07', `${this.#verb} overwrites ${where}, which is not yet read`);
    } else {
      run.find('BYTE-04', `${this.#verb} writes ${where}, where nothing that it was given belongs`);
    }
  }

  /** The peer has written one of its two indices, perhaps with the value that it had. */
  #indexWritten(word: number): void {
    const run = this.#run;
    if (run.over || this.#verb === 'init') return;
    const value = run.word(word);
    const [name, was] =
      word === run.out.prod
        ? [`${run.out.label}_prod`, run.published]
        : [`${run.in.label}_cons`, run.released];
    run.note(run.role, `  writes ${name} = ${value}`);
    if (value === was) return;
    if (word === run.out.prod) this.#published(name, value);
    else this.#released(name, value);
  }

  #published(name: string, value: number): void {
    const run = this.#run;
    const moved = (value - this.#start) >>> 0;
    const back = (run.published - this.#start) >>> 0;
    if (this.#verb !== 'write')
      run.find('BYTE-06', `${this.#verb} writes ${name}: only a write may`);
    else if (moved > this.#count || moved < back) {
      run.find(
        'BYTE-06',
        `${name} is ${value}, but ${this.#count} bytes were given at ${this.#start}`,
      );
    } else if ((value - run.model.consumed) >>> 0 > run.out.size) {
      const unread = (value - run.model.consumed) >>> 0;
      run.find('BYTE-07', `${name} is ${value}: ${unread} bytes unread in ${run.out.size}`);
    } else {
      const from = run.published;
      const count = (value - from) >>> 0;
      if (run.firstWrong(from, count) !== undefined) this.#early = { from, count };
      run.published = value;
    }
  }

  #judgeEarly(): void {
    const run = this.#run;
    if (!this.#early || run.over) return;
    const { from, count } = this.#early;
    this.#early = undefined;
    const wrong = run.firstWrong(from, count);
    const name = `${run.out.label}_prod`;
    if (wrong === undefined) {
      run.find(
        'BYTE-05',
        `${name} is ${(from + count) >>> 0} before the bytes up to it are written`,
      );
    } else {
      const at = wrong & (run.out.size - 1);
      run.find(
        'BYTE-04',
        `byte ${wrong} is published, but does not stand at ${at} of ${run.out.label}`,
      );
    }
  }

  #released(name: string, value: number): void {
    const run = this.#run;
    const moved = (value - this.#start) >>> 0;
    const back = (run.released - this.#start) >>> 0;
    const there = (run.model.produced - this.#start) >>> 0;
    if (this.#verb !== 'read') {
      // It may be what lies behind the peer's bytes: then they ought to have been split there.
      const end = run.out.data + run.out.size;
      const rule = this.#reached === end && run.in.cons === end ? 'BYTE-04' : 'BYTE-10';
      run.find(rule, `${this.#verb} writes ${name}: only a read may`);
    } else if (moved > this.#count || moved > there || moved < back) {
      const asked = `${this.#count} were asked for and ${there} were there`;
      run.find('BYTE-10', `${name} is ${value}: from ${this.#start}, ${asked}`);
    } else {
      const from = run.released;
      run.released = value;
      run.model.spoil(from, (value - from) >>> 0);
    }
  }
}
