/**
 * The text inside xenstore messages: NUL-ended strings, paths, permissions, numbers.
 * The one idea: everything is checked here, so that no handler ever sees a malformed one.
 * @source docs/misc/xenstore.txt, xen/io/xs_wire.h (path lengths)
 */
import { EINVAL } from '../protocol/errno.ts';
import { XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX } from '../protocol/xs-wire.ts';
import { type Permission, StoreError } from './store-tree.ts';

const PATH = /^\/?[-\w/@]*$/;
const PERMISSION = /^([nrwb])(\d{1,5})$/;

/** One byte a character. */
export function latin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The reverse of latin1. */
export function fromLatin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The strings of a payload, each of which ends with a NUL. @errors EINVAL */
export function strings(payload: Uint8Array, count: number): string[] {
  const list = manyStrings(payload);
  if (list.length !== count) throw new StoreError(EINVAL);
  return list;
}

/** As strings, for any number of them. @errors EINVAL */
export function manyStrings(payload: Uint8Array): string[] {
  if (payload.length === 0 || payload[payload.length - 1] !== 0) throw new StoreError(EINVAL);
  return fromLatin1(payload.subarray(0, -1)).split('\0');
}

/** The absolute form of a path of the client that lives at `home`. @errors EINVAL */
export function absolute(home: string, given: string): string {
  const relative = !given.startsWith('/');
  const limit = relative ? XENSTORE_REL_PATH_MAX : XENSTORE_ABS_PATH_MAX;
  const wrong =
    given.length === 0 ||
    given.length > limit ||
    !PATH.test(given) ||
    given.includes('//') ||
    (given.endsWith('/') && given !== '/') ||
    given.startsWith('@');
  if (wrong) throw new StoreError(EINVAL);
  return relative ? `${home}/${given}` : given;
}

/** As absolute, for a watch, which may also be on a special path. @errors EINVAL */
export function watchable(home: string, given: string): string {
  if (given === '@introduceDomain' || given === '@releaseDomain') return given;
  return absolute(home, given);
}

/** A decimal number. @errors EINVAL */
export function decimal(text: string | undefined): number {
  if (text === undefined || !/^\d{1,10}$/.test(text)) throw new StoreError(EINVAL);
  return Number(text);
}

/** A letter and a domain, e.g. `r7`. @errors EINVAL */
export function permission(text: string): Permission {
  const match = PERMISSION.exec(text);
  if (!match || Number(match[2]) > 0x7fff) throw new StoreError(EINVAL);
  return { access: match[1] as Permission['access'], domid: Number(match[2]) };
}
