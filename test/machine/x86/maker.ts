/** Whose processor ran a case: what is compared depends on it where the SDM and the APM differ, or leave something open. */
import { readFileSync } from 'node:fs';

export const MAKERS = ['amd', 'intel'] as const;
export type Maker = (typeof MAKERS)[number];

const AMD = /^vendor_id\s*: (AuthenticAMD|HygonGenuine)$/m;

/** Of this machine's processor. One of neither's is expected to follow the SDM, too. */
export const hostMaker = (): Maker =>
  AMD.test(readFileSync('/proc/cpuinfo', 'utf8')) ? 'amd' : 'intel';
