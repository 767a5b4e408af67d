/**
 * A tar archive in memory (POSIX ustar, regular files only): a 512-byte header for each file, its bytes padded to whole
 * blocks, and two empty blocks at the end. Times and owners are zero, so the same files give the same bytes.
 */
const BLOCK = 512;
const NAME_MAX = 100;

export interface Member {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** @throws RangeError when a name does not fit a header. */
export const makeTar = (members: readonly Member[]): Uint8Array => {
  const blocks = members.flatMap(({ name, bytes }) => {
    const padded = new Uint8Array(Math.ceil(bytes.length / BLOCK) * BLOCK);
    padded.set(bytes);
    return [header(name, bytes.length), padded];
  });
  return Buffer.concat([...blocks, new Uint8Array(2 * BLOCK)]);
};

const header = (name: string, size: number): Uint8Array => {
  const block = Buffer.alloc(BLOCK);
  if (Buffer.byteLength(name) > NAME_MAX) throw new RangeError(`name: ${name} is too long for tar`);
  const octal = (value: number, at: number, digits: number): void => {
    block.write(value.toString(8).padStart(digits, '0'), at, 'latin1');
  };
  block.write(name, 0);
  octal(0o644, 100, 7); // mode
  octal(0, 108, 7); // uid
  octal(0, 116, 7); // gid
  octal(size, 124, 11);
  octal(0, 136, 11); // mtime
  block.fill(' ', 148, 156); // the checksum counts its own field as spaces
  block.write('0', 156); // a regular file
  block.write('ustar\x0000', 257, 'latin1');
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  block[154] = 0;
  return block;
};
