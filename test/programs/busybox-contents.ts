/** The files that busybox's applets work on. */
import type { Contents } from './sandbox.ts';

/** Lines of the long files. */
const LINES = 300;

const WORDS = 'the quick brown fox jumps over a lazy dog while seven wizards box'.split(' ');

let state = 1;
const random = (below: number): number => {
  state = (state * 48271) % 2147483647;
  return state % below;
};
const lines = (line: (i: number) => string, count = LINES): string =>
  Array.from({ length: count }, (_, i) => `${line(i)}\n`).join('');

const text = lines(() => Array.from({ length: 3 + random(9) }, () => WORDS[random(12)]!).join(' '));
const edited = text
  .split('\n')
  .flatMap((line, i) => (i % 11 === 3 ? [] : i % 13 === 5 ? [line, 'inserted'] : [line]))
  .join('\n')
  .replaceAll('lazy dog', 'idle cat');

/** Compressed elsewhere: `line 0 of what was compressed` and so on. */
const XZ =
  '/Td6WFoAAAFpIt42AgAhARYAAAB0L+Wj4ATNAHhdADYaSh8IoCYDTQad+gBdSuNwceTMDqDpltIXhZdPh0Z/k+VxelFq6/+f2kwYNkWYKKUeKeD0qAQ0BR2c3kRRN/m/Pu4zKSiHGhpbePgur+CF18jEIVuDZW7RLZ7/N5jiDm5aZsvkjMHi/cbkJkBMHnW0M7rK3xIgAAAAR6raAAGQAc4JAACUSRB6PjANiwIAAAAAAVla';
const LZMA =
  'XQAAgAD//////////wA2GkofCKAmA00GnfoAXUrjcHHkzA6g6ZbSF4WXT4dGf5PlcXpRauv/n9pMGDZFmCilHing9KgENAUdnN5EUTf5vz7uMykohxoaW3j4Lq/ghdfIxCFbg2Vu0S2e/zeY4g5uWmbL5IzB4v3G5CZATB51tDO6yu/sVXPf+YRz4A==';
const ZIP =
  'UEsDBBQAAAAIAIMYIlAAR6rahgAAAM4EAAAOAAAAcGFja2VkL29uZS50eHSF00EOgkAQRNG9p+gj2FUKehyCQyQBMY4J1ycewD/rv3upWuZXiXNsU+zP4Rv7UGPc1ven1Foep+VXE6uwGusF6xVrh7XHesN6Z40GFmslcyV7JYMliyWTJZsloyWridXU2BiridXEamI1sZpYTawmVjOrmdXcuCarmdXMamY1s5pZzX/VDlBLAwQUAAAAAACDGCJQ4pxTpQcAAAAHAAAADgAAAHBhY2tlZC90d28udHh0c3RvcmVkClBLAQIUAxQAAAAIAIMYIlAAR6rahgAAAM4EAAAOAAAAAAAAAAAAAACAAQAAAABwYWNrZWQvb25lLnR4dFBLAQIUAxQAAAAAAIMYIlDinFOlBwAAAAcAAAAOAAAAAAAAAAAAAACAAbIAAABwYWNrZWQvdHdvLnR4dFBLBQYAAAAAAgACAHgAAADlAAAAAAA=';
const base64 = (coded: string): Uint8Array => Buffer.from(coded, 'base64');

export const contents: Contents = {
  'text.txt': text,
  'edited.txt': edited,
  'numbers.txt': lines(() => `${random(2000) - 1000}.${random(100)}`),
  'table.csv': lines((i) => `${i},${WORDS[i % 12]},${random(1000) / 8},${random(50)}`),
  'keys.txt': lines((i) => `${WORDS[(i * 5) % 12]}\t${i % 7}`, 30),
  'tabs.txt': lines((i) => `\ta\tb${' '.repeat(i)}c        d\n`, 12),
  'crlf.txt': 'one\r\ntwo\r\nthree\r\n',
  'binary.bin': Uint8Array.from({ length: LINES * 50 }, (_, i) => ((i * i) >> 3) ^ random(256)),
  'sparse.bin': Buffer.concat([Buffer.alloc(100), Buffer.from('some text here\0more\0x')]),
  'empty.txt': '',
  'tree/one.txt': 'one\n',
  'tree/deep/two.c': 'int main;\n',
  'tree/deep/deeper/three.txt': text.slice(0, 700),
  'tree/link': '-> deep/two.c',
  'tree/broken': '-> nowhere',
  'names.txt': 'tree\ntree/one.txt\ntree/deep\ntree/deep/two.c\ntree/link\n',
  'packed.xz': base64(XZ),
  'packed.lzma': base64(LZMA),
  'packed.zip': base64(ZIP),
  'keystrokes.txt': ':%s/fox/cat/g\r3GddpAappended\u001b5Ginserted line\u001bo\u001b:wq\r',
  'edit.ed': '2d\n1,$s/fox/cat/g\n3i\ninserted by ed\n.\n1,5p\nw\nq\n',
  'ed-script.sed': '/fox/{\n  s/o/0/g\n  h\n  G\n}\n/lazy/!d\n',
};
