/**
 * The ABI, checked twice: our declarations against the checked-in table everywhere, and the table
 * against a C compiler over Xen's headers where those are. UPDATE_ABI_TABLE=1 writes the table anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasHeader, hasTool, itNeeds } from '../support/tools.ts';
import { type AbiTable, declared } from './declared.ts';
import { probe } from './probe.ts';

const FILE = new URL('./abi-table.json', import.meta.url);
const ours = declared();
const available = hasTool('gcc') && hasHeader('xen/xen.h');

if (available && process.env['UPDATE_ABI_TABLE'] === '1') {
  writeFileSync(FILE, `${JSON.stringify(probe(ours).table, null, 2)}\n`);
}
const table = JSON.parse(readFileSync(FILE, 'utf8')) as AbiTable;

describe('the ABI table', () => {
  it.each(Object.keys(ours.structs))(
    'has struct %s with our size, alignment and offsets',
    (name) => {
      expect(ours.structs[name]).toEqual(table.structs[name]);
    },
  );

  it('has every constant with our value', () => {
    expect(ours.constants).toEqual(table.constants);
  });

  it('has nothing that is no longer declared', () => {
    expect(Object.keys(table.structs).filter((name) => !(name in ours.structs))).toEqual([]);
  });
});

describe("Xen's headers", () => {
  const needs = 'gcc and libxen-dev';

  itNeeds(needs, available, 'know every struct, field and constant that we declare', () => {
    expect(probe(ours).unknown).toEqual([]);
  });

  itNeeds(needs, available, 'give the same table as the checked-in one', () => {
    expect(probe(ours).table).toEqual(table);
  });

  itNeeds(needs, available, 'make a name that they lack fail by that name', () => {
    const invented: AbiTable = {
      constants: { EVTCHNOP_teleport: '14', EVTCHNOP_send: '4' },
      structs: {
        evtchn_send: { size: 4, align: 4, fields: { port: 0, starboard: 0 } },
        evtchn_teleport: { size: 4, align: 4, fields: {} },
      },
    };
    const { unknown, table: found } = probe(invented);
    expect(unknown.sort()).toEqual([
      'EVTCHNOP_teleport',
      'evtchn_send.starboard',
      'evtchn_teleport',
    ]);
    expect(found.constants).toEqual({ EVTCHNOP_send: '4' });
    expect(found.structs['evtchn_send']).toEqual({ size: 4, align: 4, fields: { port: 0 } });
  });
});
