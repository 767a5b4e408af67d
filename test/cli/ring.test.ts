/** `hospes ring` on page dumps, and that docs/cli.md shows what it prints. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ByteProducer } from '../../protocol/byte-ring.ts';
import { CONSOLE_OUT } from '../../protocol/console-ring.ts';
import { ArrayRingMemory } from '../../protocol/ring.ts';
import { PICTURE_PROTOCOLS, ringPicture } from '../../protocol/ring-picture.ts';
import { blkifPage, slotPage } from '../protocol/ring-pages.ts';
import { folderWith, ROOT } from './hospes.ts';

const DOCS = readFileSync(`${ROOT}/docs/cli.md`, 'utf8');
const LAST_SEGMENT = 16 + 4 * 28 + 7; // of the request in slot 4: gref, then its sectors

const bytesOf = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer);

const consolePage = (): Uint32Array => {
  const words = new Uint32Array(1024);
  const text = new TextEncoder().encode('login: ');
  new ByteProducer(new ArrayRingMemory(words), CONSOLE_OUT).write(text);
  return words;
};

describe('hospes ring', () => {
  it('prints the picture, status 0 where nothing is impossible', () => {
    const { words } = blkifPage(5, 3);
    const ran = folderWith({ page: bytesOf(words) }).hospes('ring', 'page', '--protocol', 'blkif');
    expect(ran).toMatchObject({
      status: 0,
      stderr: '',
      stdout: `${ringPicture(words, 'blkif')}\n`,
    });
  });

  it('prints what docs/cli.md shows, status 1 where something is impossible', () => {
    const { words } = blkifPage(5, 3);
    words[LAST_SEGMENT] = 8 << 8;
    words[1] = 6;
    const folder = folderWith({ 'page.bin': bytesOf(words) });
    const ran = folder.hospes('ring', 'page.bin', '--protocol', 'blkif');
    expect([ran.status, ran.stderr]).toEqual([1, '']);
    expect(DOCS).toContain(
      `\`\`\`\n$ hospes ring page.bin --protocol blkif\n${ran.stdout}\`\`\`\n`,
    );
  });

  it('prints one object with --json, of the form that docs/cli.md says', () => {
    const { words } = blkifPage(5, 3);
    words[LAST_SEGMENT] = 8 << 8;
    const folder = folderWith({ page: bytesOf(words), console: bytesOf(consolePage()) });
    const ran = folder.hospes('ring', 'page', '--protocol', 'blkif', '--json');
    const reading = JSON.parse(ran.stdout);
    expect(ran.status).toBe(1);
    expect(reading).toMatchObject({
      ...{ kind: 'slots', protocol: 'blkif', size: 32, reqProd: 5, rspProd: 3, outstanding: 2 },
      requests: [{ index: 3 }, { index: 4, slot: 4, state: 'Q', fields: { id: 104 } }],
      findings: [{ level: 'impossible' }],
    });
    const text = folder.hospes('ring', 'console', '--protocol', 'console', '--json');
    const page = JSON.parse(text.stdout);
    expect(page).toMatchObject({ kind: 'bytes', rings: [{}, { waiting: 7, preview: 'login: ' }] });

    const documented = (value: object): string =>
      `{${Object.keys(value).join(', ').replace('wrong', 'wrong?')}}`;
    expect(DOCS).toContain(`\`${documented(reading)}\``);
    expect(DOCS).toContain(`\`${documented(page)}\``);
    expect(DOCS).toContain(`\`${documented(reading.requests[1])}\``);
    expect(DOCS).toContain(`\`${documented(reading.findings[0])}\``);
    expect(DOCS).toContain(`\`${documented(page.rings[0])}\``);
  });

  it.each([2, 4, 8, 16])('takes a ring of %i pages', (pages) => {
    const { words } = slotPage(undefined, 0, pages);
    const ran = folderWith({ page: bytesOf(words) }).hospes('ring', 'page', '--protocol', 'blkif');
    expect(ran.status).toBe(0);
    expect(ran.stdout).toContain(`${32 * pages} slots in ${pages} pages`);
  });

  it('says in docs/cli.md which protocols there are', () => {
    const ran = folderWith({}).hospes('ring', '--help');
    expect(ran.stdout).toContain(PICTURE_PROTOCOLS.join(', '));
    expect(DOCS).toContain(`--protocol ${PICTURE_PROTOCOLS.join('|')}`);
  });

  it.each([
    ['a missing file', ['none'], /ring none does not exist: give a dump of its pages/],
    ['a folder', ['.'], /ring \. is not a file: give a dump of its pages/],
    ['an empty file', ['empty'], /ring empty is empty: a page has 4096 bytes/],
    [
      'half a page',
      ['half'],
      /ring half has 2048 bytes: a ring has 1, 2, 4, 8 or 16 pages of 4096/,
    ],
    ['a page and a byte', ['odd'], /has 4097 bytes/],
    ['three pages', ['three'], /has 12288 bytes/],
    ['32 pages', ['many'], /has 131072 bytes/],
  ])('refuses %s', (_case, args, sentence) => {
    const sizes = { empty: 0, half: 2048, odd: 4097, three: 12_288, many: 131_072 };
    const files = Object.entries(sizes).map(([name, size]) => [name, new Uint8Array(size)]);
    const folder = folderWith(Object.fromEntries(files));
    const ran = folder.hospes('ring', ...args, '--protocol', 'netif-tx');
    expect([ran.status, ran.stdout]).toEqual([2, '']);
    expect(ran.stderr).toMatch(/^hospes: [^\n]+\n$/);
    expect(ran.stderr).toMatch(sentence);
  });

  it.each([
    [
      'two pages of a byte ring',
      ['--protocol', 'console'],
      /ring two has 8192 bytes: a console page/,
    ],
    ['no protocol', [], /required option '--protocol <protocol>' not specified; see hospes --help/],
    [
      'an unknown protocol',
      ['--protocol', 'vbd'],
      /protocol 'vbd' is unknown: use one of blkif, netif-tx, netif-rx, console, xenstore/,
    ],
  ])('refuses %s', (_case, args, sentence) => {
    const ran = folderWith({ two: new Uint8Array(8192) }).hospes('ring', 'two', ...args);
    expect([ran.status, ran.stdout]).toEqual([2, '']);
    expect(ran.stderr).toMatch(/^hospes: [^\n]+\n$/);
    expect(ran.stderr).toMatch(sentence);
  });
});
