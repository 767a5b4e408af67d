/**
 * Grants, version 1: this domain's table, mapped into the kernel half, and the operations on what
 * others grant. The table is set up at first use and grows by a frame when it is full.
 * @source xen/grant_table.h
 */
import type { Cpu } from '../../machine/cpu.ts';
import * as gt from '../../protocol/grant-table.ts';
import { type Domid, Gref } from '../../protocol/units.ts';
import { DOMID_SELF } from '../../protocol/xen.ts';
import type { KernelSpace } from '../address-space.ts';
import { SLOT_BYTES } from '../arguments.ts';
import { GrantError } from '../errors.ts';
import type { CopyEnd, CopySegment, GrantArea, GrantMapping, Grants } from '../kernel.ts';
import { MAP_AREA } from '../layout.ts';
import type { Xen } from '../xen.ts';
import type { PvTables } from './tables.ts';

const ENTRIES_PER_FRAME = 4096 / gt.GrantEntryV1.size;
/** Room for the table in the map area; Xen's own limit (64 by default) is met first. */
const TABLE_PAGES = 512;
const COPY_BATCH = Math.floor(SLOT_BYTES / gt.GnttabCopy.size);
/** Where in an argument slot the list of table frames lies, behind the struct. */
const LIST = 64;
const IN_USE = gt.GTF_reading | gt.GTF_writing;
const entry = gt.GrantEntryV1.offset;

export class PvGrants implements Grants {
  readonly #cpu: Cpu;
  readonly #xen: Xen;
  readonly #tables: PvTables;
  readonly #kernel: KernelSpace;
  readonly #freeRefs: number[] = [];
  #frames = 0;
  #nextRef = gt.GNTTAB_NR_RESERVED_ENTRIES;
  /** Areas behind the table, for others' frames: addresses of the free ones by their length in pages. */
  readonly #freeAreas: number[][] = [];
  #nextPage = MAP_AREA + TABLE_PAGES * 4096;

  constructor(xen: Xen, tables: PvTables, kernel: KernelSpace) {
    this.#cpu = xen.cpu;
    this.#xen = xen;
    this.#tables = tables;
    this.#kernel = kernel;
  }

  grant(domid: Domid, pfn: number, readonly: boolean): Gref {
    const ref = this.#freeRefs.pop() ?? this.#newRef();
    const at = MAP_AREA + ref * gt.GrantEntryV1.size;
    const cpu = this.#cpu;
    cpu.store32(at + entry.frame, this.#tables.machineFrame(pfn));
    cpu.store16(at + entry.domid, domid);
    // The flags make it valid, so they come last.
    cpu.store16(at + entry.flags, gt.GTF_permit_access | (readonly ? gt.GTF_readonly : 0));
    return Gref(ref);
  }

  end(gref: Gref): boolean {
    const at = MAP_AREA + gref * gt.GrantEntryV1.size + entry.flags;
    for (;;) {
      const flags = this.#cpu.load16(at);
      if ((flags & IN_USE) !== 0) return false;
      if (this.#cpu.compareExchange16(at, flags, 0) === flags) break;
    }
    this.#freeRefs.push(gref);
    return true;
  }

  map(domid: Domid, gref: Gref, readonly = false): GrantMapping {
    const handles: number[] = [];
    const { va, unmap } = this.#mapArea(domid, [gref], readonly, handles);
    return { va, handle: handles[0]!, unmap };
  }

  mapMany(domid: Domid, grefs: readonly Gref[], readonly = false): GrantArea {
    return this.#mapArea(domid, grefs, readonly, []);
  }

  copy(segments: readonly CopySegment[]): number[] {
    const statuses: number[] = [];
    const { size, offset } = gt.GnttabCopy;
    for (let first = 0; first < segments.length; first += COPY_BATCH) {
      const part = segments.slice(first, first + COPY_BATCH);
      const bytes = new Uint8Array(part.length * size);
      const view = new DataView(bytes.buffer);
      for (const [i, segment] of part.entries()) this.#encode(view, i * size, segment);
      this.#xen.memory.grantTableOp('GNTTABOP_copy', gt.GNTTABOP_copy, bytes, part.length);
      for (let i = 0; i < part.length; i++)
        statuses.push(view.getInt16(i * size + offset.status, true));
    }
    return statuses;
  }

  #encode(view: DataView, at: number, { from, to, length }: CopySegment): void {
    const flags =
      ('gref' in from ? gt.GNTCOPY_source_gref : 0) | ('gref' in to ? gt.GNTCOPY_dest_gref : 0);
    const { source, dest, len, flags: flagsAt } = gt.GnttabCopy.offset;
    this.#encodeEnd(view, at + source, from);
    this.#encodeEnd(view, at + dest, to);
    view.setUint16(at + len, length, true);
    view.setUint16(at + flagsAt, flags, true);
  }

  #encodeEnd(view: DataView, at: number, end: CopyEnd): void {
    const { u, domid, offset } = gt.GnttabCopyPtr.offset;
    const own = 'pfn' in end;
    const frame = own ? this.#tables.machineFrame(end.pfn) : end.gref;
    view.setUint32(at + u, frame, true);
    view.setUint16(at + domid, own ? DOMID_SELF : end.domid, true);
    view.setUint16(at + offset, end.offset, true);
  }

  /** Maps `grefs` one after the other and adds their handles to `handles`. @throws GrantError, and none is mapped */
  #mapArea(domid: Domid, grefs: readonly Gref[], readonly: boolean, handles: number[]): GrantArea {
    const pages = grefs.length;
    const va = this.#freeAreas[pages]?.pop() ?? this.#newArea(pages);
    const unmap = (): void => {
      if (handles.length === 0) return; // done already
      handles.splice(0).forEach((handle, i) => {
        this.#unmap(va + i * 4096, handle);
      });
      this.#freeArea(pages, va);
    };
    for (const gref of grefs) {
      const { status, handle } = this.#map(va + handles.length * 4096, domid, gref, readonly);
      if (status === gt.GNTST_okay) {
        handles.push(handle);
        continue;
      }
      if (handles.length === 0) this.#freeArea(pages, va);
      else unmap();
      throw new GrantError('GNTTABOP_map_grant_ref', status);
    }
    return { va, unmap };
  }

  #map(va: number, domid: Domid, ref: Gref, readonly: boolean): gt.GnttabMapGrantRef {
    const flags = gt.GNTMAP_host_map | (readonly ? gt.GNTMAP_readonly : 0);
    const arg = { hostAddr: va, flags, ref, dom: domid };
    const { GNTTABOP_map_grant_ref: cmd, GnttabMapGrantRef: layout } = gt;
    return this.#op('GNTTABOP_map_grant_ref', cmd, layout, arg);
  }

  #unmap(va: number, handle: number): void {
    const arg = { hostAddr: va, devBusAddr: 0, handle };
    const { status } = this.#op(
      'GNTTABOP_unmap_grant_ref',
      gt.GNTTABOP_unmap_grant_ref,
      gt.GnttabUnmapGrantRef,
      arg,
    );
    if (status !== gt.GNTST_okay) throw new GrantError('GNTTABOP_unmap_grant_ref', status);
  }

  #newRef(): number {
    if (this.#nextRef >= this.#frames * ENTRIES_PER_FRAME) this.#grow();
    return this.#nextRef++;
  }

  /** One more frame for the table. @throws GrantError when Xen or the list in a slot has no room. */
  #grow(): void {
    const count = this.#frames + 1;
    const { slot } = this.#xen.arguments;
    const list = slot + LIST;
    if (count > (SLOT_BYTES - LIST) / 8) {
      throw new GrantError('GNTTABOP_setup_table', gt.GNTST_no_space);
    }
    const arg = { dom: DOMID_SELF, nrFrames: count, frameList: list };
    const { status } = this.#op(
      'GNTTABOP_setup_table',
      gt.GNTTABOP_setup_table,
      gt.GnttabSetupTable,
      arg,
    );
    if (status !== gt.GNTST_okay) throw new GrantError('GNTTABOP_setup_table', status);
    const mfn = this.#cpu.loadNumber(list + this.#frames * 8);
    this.#kernel.mapFrame(MAP_AREA + this.#frames * 4096, mfn, { write: true });
    this.#frames = count;
  }

  #newArea(pages: number): number {
    const va = this.#nextPage;
    this.#nextPage += pages * 4096;
    for (let i = 0; i < pages; i++) this.#kernel.prepare(va + i * 4096);
    return va;
  }

  #freeArea(pages: number, va: number): void {
    this.#freeAreas[pages] ??= [];
    this.#freeAreas[pages].push(va);
  }

  /**
   * A grant operation on one struct; the hypercall's second argument is the struct, the third the
   * count.
   */
  #op<
    S extends
      | typeof gt.GnttabMapGrantRef
      | typeof gt.GnttabUnmapGrantRef
      | typeof gt.GnttabSetupTable,
  >(call: string, cmd: number, struct: S, value: Parameters<S['set']>[2]): ReturnType<S['get']> {
    const bytes = new Uint8Array(struct.size);
    const view = new DataView(bytes.buffer);
    struct.set(view, 0, value as never);
    this.#xen.memory.grantTableOp(call, cmd, bytes, 1);
    return struct.get(view) as ReturnType<S['get']>;
  }
}
