/**
 * The rules of the block protocol, by the numbers and titles of docs/rings.md, with the role that each binds: what a
 * back end or a front end must do as a whole driver, beyond the rules of the ring under it.
 * @source xen/io/blkif.h
 */
import type { Role } from '../../protocol/conformance/peer.ts';
import type { Rule } from '../../protocol/conformance/rules.ts';

const BOTH: readonly Role[] = ['front', 'back'];
const FRONT: readonly Role[] = ['front'];
const BACK: readonly Role[] = ['back'];

export const BLK_RULES = [
  { id: 'BLK-01', title: 'What belongs to a state is published before the state', roles: BOTH },
  { id: 'BLK-02', title: 'The handshake works in every order', roles: BOTH },
  { id: 'BLK-03', title: 'The layout of the ring is agreed on', roles: BOTH },
  { id: 'BLK-04', title: 'What is not offered is not used, and not done', roles: BOTH },
  { id: 'BLK-05', title: 'A ring may have more than one page', roles: BOTH },
  { id: 'BLK-06', title: 'A ring longer than offered is refused', roles: BACK },
  { id: 'BLK-07', title: 'Nodes that make no sense are refused', roles: BACK },
  { id: 'BLK-08', title: 'Ring pages are zero when they are granted', roles: FRONT },
  { id: 'BLK-09', title: 'A granted page tells nothing old', roles: FRONT },
  { id: 'BLK-10', title: 'A ring has 32 slots a page, down to a power of two', roles: BOTH },
  {
    id: 'BLK-11',
    title: 'The id is the front end’s, and comes back with the operation',
    roles: BOTH,
  },
  { id: 'BLK-12', title: 'Responses come in any order', roles: FRONT },
  { id: 'BLK-13', title: 'One response for each request', roles: BACK },
  { id: 'BLK-14', title: 'A response carries nothing else', roles: BACK },
  { id: 'BLK-15', title: 'A segment lies within its page', roles: BOTH },
  { id: 'BLK-16', title: 'A transfer has 1 to 11 segments', roles: BOTH },
  { id: 'BLK-17', title: 'A transfer lies on the disk', roles: BOTH },
  { id: 'BLK-18', title: 'The handle names the device', roles: BOTH },
  { id: 'BLK-19', title: 'Nothing writes to a read-only disk', roles: BOTH },
  { id: 'BLK-20', title: 'An unknown operation is answered, not done', roles: BACK },
  { id: 'BLK-21', title: 'A flush makes durable what was answered before it', roles: BOTH },
  { id: 'BLK-22', title: 'A barrier, if offered, is a write with order', roles: BACK },
  { id: 'BLK-23', title: 'A discard, if offered, keeps to the disk', roles: BACK },
  { id: 'BLK-24', title: 'Indirect segments, if offered, work like direct ones', roles: BACK },
  { id: 'BLK-25', title: 'A grant allows what the transfer needs, no more', roles: BOTH },
  { id: 'BLK-26', title: 'A bad grant reference costs one request', roles: BACK },
  { id: 'BLK-27', title: 'A slot is copied once, then believed', roles: BOTH },
  { id: 'BLK-28', title: 'An impossible index ends the connection', roles: BOTH },
  { id: 'BLK-29', title: 'A storm of requests starves nobody', roles: BACK },
  { id: 'BLK-30', title: 'A storm of events costs little', roles: BOTH },
  { id: 'BLK-31', title: 'Closing in mid-request leaves nothing behind', roles: BOTH },
  { id: 'BLK-32', title: 'After a close, it connects again', roles: BOTH },
  { id: 'BLK-33', title: 'A silent peer costs nothing', roles: BOTH },
  { id: 'BLK-34', title: 'A peer that stands still is waited for', roles: BOTH },
  { id: 'BLK-35', title: 'A response to nothing is ignored', roles: FRONT },
  { id: 'BLK-36', title: 'A failed response is an I/O error', roles: FRONT },
  { id: 'BLK-37', title: 'A page that stays mapped is not used again', roles: FRONT },
  { id: 'BLK-38', title: 'What is written is what is read', roles: BOTH },
  { id: 'BLK-39', title: 'A close gives everything back', roles: BOTH },
  { id: 'BLK-40', title: 'The other end closes: follow', roles: BOTH },
] as const satisfies readonly Rule[];

export type BlkRule = (typeof BLK_RULES)[number]['id'];
