/**
 * The rules of byte rings, by the numbers and titles of docs/rings.md, with the rings and the roles that each
 * binds. Of each rule a run can say that it is broken; what no run finds broken has passed. What a byte ring alone
 * cannot show (events, messages) is not here: whole drivers are tested for it.
 */
import type { ByteProtocolName } from './byte-page.ts';
import type { Role } from './peer.ts';
import type { Rule } from './rules.ts';

export interface ByteRingRule extends Rule {
  readonly protocols: readonly ByteProtocolName[];
}

const ALL: Pick<ByteRingRule, 'protocols' | 'roles'> = {
  protocols: ['console', 'xenstore'],
  roles: ['front', 'back'],
};

export const BYTE_RULES = [
  { id: 'BYTE-01', title: 'Neither end initialises the page', ...ALL },
  { id: 'BYTE-02', title: 'An end goes on where the indices stand', ...ALL },
  { id: 'BYTE-03', title: 'An end writes only its own indices and its own bytes', ...ALL },
  { id: 'BYTE-04', title: 'A byte stands where its index says', ...ALL },
  { id: 'BYTE-05', title: 'Bytes stand there before the index says so', ...ALL },
  { id: 'BYTE-06', title: 'A write publishes what it took, and says how much', ...ALL },
  { id: 'BYTE-07', title: 'What is not yet read is never overwritten', ...ALL },
  { id: 'BYTE-08', title: 'All of a ring may be filled', ...ALL },
  { id: 'BYTE-09', title: 'What is published arrives once, in order, exactly', ...ALL },
  { id: 'BYTE-10', title: 'A read gives back the room of what it took', ...ALL },
  { id: 'BYTE-11', title: 'A read takes what waits, up to what was asked', ...ALL },
  { id: 'BYTE-12', title: 'The producer index is read before the bytes', ...ALL },
  { id: 'BYTE-13', title: 'Room is given back after the bytes were copied out', ...ALL },
  { id: 'BYTE-14', title: 'The private indices count, not the shared copies', ...ALL },
  { id: 'BYTE-15', title: 'An impossible index is refused, and moves nothing', ...ALL },
  { id: 'BYTE-16', title: 'Indices run freely and are 32 bits wide', ...ALL },
  { id: 'BYTE-17', title: 'Indices are compared by difference, across 2^32', ...ALL },
  { id: 'BYTE-18', title: 'Nothing given and nothing asked is nothing done', ...ALL },
  { id: 'BYTE-19', title: 'A second life begins anew', ...ALL },
  {
    id: 'BYTE-20',
    title: "A guest leaves the server's words alone",
    protocols: ['xenstore'],
    roles: ['front'],
  },
] as const satisfies readonly ByteRingRule[];

export type ByteRule = (typeof BYTE_RULES)[number]['id'];

/** The rules that bind this end of this ring. */
export function byteRulesFor(protocol: ByteProtocolName, role: Role): ByteRule[] {
  const rules: readonly ByteRingRule[] = BYTE_RULES;
  return rules
    .filter(({ protocols, roles }) => protocols.includes(protocol) && roles.includes(role))
    .map(({ id }) => id as ByteRule);
}
