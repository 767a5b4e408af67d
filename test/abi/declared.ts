/** What protocol/ declares, in the shape of the ABI table: every exported struct and constant, by name. */
import * as protocol from '../../protocol/index.ts';
import type { Aggregate, AnyCodec } from '../../protocol/layout.ts';

export interface StructRow {
  size: number;
  align: number;
  fields: Record<string, number>; // path in C, e.g. u.interdomain.port -> offset
}

export interface AbiTable {
  structs: Record<string, StructRow>;
  constants: Record<string, string>; // as signed 64-bit decimals
}

type AnyAggregate = Aggregate<unknown, unknown>;

/** Exports that the headers do not have, each with the reason. */
export const NOT_IN_HEADERS: Readonly<Record<string, string>> = {
  E820_RAM: 'ACPI address range type',
  E820_RESERVED: 'ACPI address range type',
  e820entry: 'the memory map entry is declared by the BIOS interface, not by Xen',
};

/** Our names whose value the headers have under another name or as an expression. */
export const C_EXPRESSION: Readonly<Record<string, string>> = {
  PAGE_SHIFT: 'XEN_PAGE_SHIFT',
  PAGE_SIZE: '1 << XEN_PAGE_SHIFT',
  BLKIF_REQUEST_WORDS: 'sizeof(struct blkif_request) / 4',
  BLKIF_RESPONSE_WORDS: 'sizeof(struct blkif_response) / 4',
  NETIF_TX_REQUEST_WORDS: 'sizeof(struct netif_tx_request) / 4',
  NETIF_TX_RESPONSE_WORDS: 'sizeof(struct netif_tx_response) / 4',
  NETIF_RX_REQUEST_WORDS: 'sizeof(struct netif_rx_request) / 4',
  NETIF_RX_RESPONSE_WORDS: 'sizeof(struct netif_rx_response) / 4',
  NETIF_EXTRA_INFO_WORDS: 'sizeof(struct netif_extra_info) / 4',
};

/** How C spells the constant `name`: Xen prefixes error numbers. */
export function cExpression(name: string): string {
  return C_EXPRESSION[name] ?? (/^E[A-Z0-9]+$/.test(name) ? `XEN_${name}` : name);
}

/** Everything declared and expected to be in the headers. */
export function declared(): AbiTable {
  const table: AbiTable = { structs: {}, constants: {} };
  for (const [name, value] of Object.entries<unknown>(protocol)) {
    if (isAggregate(value)) {
      if (!(value.name in NOT_IN_HEADERS)) table.structs[value.name] = structRow(value);
    } else if (typeof value === 'number' || typeof value === 'bigint') {
      if (!(name in NOT_IN_HEADERS)) {
        table.constants[name] = BigInt.asIntN(64, BigInt(value)).toString();
      }
    }
  }
  return table;
}

function structRow(aggregate: AnyAggregate): StructRow {
  const fields: Record<string, number> = {};
  addFields(aggregate, '', 0, fields);
  return { size: aggregate.size, align: aggregate.align, fields };
}

function addFields(
  aggregate: AnyAggregate,
  prefix: string,
  base: number,
  into: Record<string, number>,
): void {
  for (const [field, codec] of Object.entries<AnyCodec>(aggregate.fields)) {
    const path = `${prefix}${aggregate.cName[field]}`;
    const at = base + aggregate.offset[field]!;
    into[path] = at;
    if (isAggregate(codec)) addFields(codec, `${path}.`, at, into);
  }
}

function isAggregate(value: unknown): value is AnyAggregate {
  return typeof value === 'object' && value !== null && 'kind' in value && 'cName' in value;
}
