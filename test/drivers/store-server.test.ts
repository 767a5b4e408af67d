import { describe, expect, it } from 'vitest';
import { HOME, type Line, play, StoreTest } from './store-text-client.ts';

const LONG = `/${'a'.repeat(3072)}`;

describe('XS_READ, XS_WRITE, XS_DIRECTORY, XS_MKDIR, XS_RM', () => {
  it.each<[string, Line[]]>([
    [
      'makes missing parents and lists children',
      [
        [0, 0, 'WRITE /a/b/c|hello', 'OK|'],
        [0, 0, 'READ /a/b/c|', 'hello'],
        [0, 0, 'READ /a/b|', ''],
        [0, 0, 'DIRECTORY /|', 'local|a|'],
        [0, 0, 'DIRECTORY /a/b|', 'c|'],
      ],
    ],
    [
      'keeps a value with NULs in it',
      [
        [0, 0, 'WRITE /a|x|y|', 'OK|'],
        [0, 0, 'READ /a|', 'x|y|'],
      ],
    ],
    [
      'resolves relative paths below the home of the client',
      [
        [1, 0, 'WRITE data/x|1', 'OK|'],
        [0, 0, 'READ /local/domain/1/data/x|', '1'],
        [1, 0, 'READ data/x|', '1'],
      ],
    ],
    [
      'does not mind making what is there',
      [
        [0, 0, 'WRITE /a|v', 'OK|'],
        [0, 0, 'MKDIR /a|', 'OK|'],
        [0, 0, 'READ /a|', 'v'],
      ],
    ],
    [
      'removes a whole subtree',
      [
        [0, 0, 'WRITE /a/b/c|1', 'OK|'],
        [0, 0, 'RM /a|', 'OK|'],
        [0, 0, 'READ /a/b/c|', '!ENOENT'],
        [0, 0, 'RM /a|', 'OK|'],
        [0, 0, 'RM /a/b|', '!ENOENT'],
        [0, 0, 'RM /|', '!EINVAL'],
      ],
    ],
  ])('%s', (_name, lines) => {
    play([...HOME, ...lines]);
  });

  it('says E2BIG to a directory that does not fit, and gives it in parts', () => {
    const store = new StoreTest();
    const names = Array.from({ length: 1000 }, (_, i) => `child-${i}`);
    for (const name of names) store.ask(0, 0, `MKDIR /d/${name}|`);
    expect(store.ask(0, 0, 'DIRECTORY /d|')).toBe('!E2BIG');

    const got: string[] = [];
    for (let offset = 0, end = false; !end; ) {
      const [, ...piece] = store.ask(0, 0, `DIRECTORY_PART /d|${offset}|`).split('|').slice(0, -1);
      end = piece.at(-1) === '';
      if (end) piece.pop();
      got.push(...piece);
      offset += piece.join('|').length + 1;
    }
    expect(got).toEqual(names);
    expect(store.ask(0, 0, 'DIRECTORY_PART /d|99999|')).toBe('!EINVAL');
  });

  it.each([
    'READ ',
    'READ a',
    'READ |',
    'READ //|',
    'READ /a/|',
    'READ /a//b|',
    'READ /a b|',
    'READ @introduceDomain|',
    'READ /a|/b|',
    `READ ${LONG}|`,
    `READ ${LONG.slice(1, 2050)}|`,
    'WRITE /a',
    'SET_PERMS /a|',
    'SET_PERMS /a|x1|',
    'SET_PERMS /a|n99999|',
    'WATCH /a|',
    'WATCH /a|t|more|',
    'WATCH @nonsense|t|',
    'UNWATCH /a|',
    'GET_DOMAIN_PATH x|',
    'GET_DOMAIN_PATH 99999|',
    'INTRODUCE 1|2|',
    'DIRECTORY_PART /|',
  ])('refuses the malformed %j with EINVAL', (operation) => {
    expect(new StoreTest().ask(0, 0, operation)).toBe('!EINVAL');
  });

  it.each(['CONTROL help|', '15 x|', '18 1|', '20 x|', '9999 x|'])(
    'answers ENOSYS to %j',
    (operation) => {
      expect(new StoreTest().ask(0, 0, operation)).toBe('!ENOSYS');
    },
  );
});

describe('permissions', () => {
  it.each<[string, Line[]]>([
    [
      'keep a domain out of its own home directory, but not out of what it owns',
      [
        [1, 0, 'WRITE x|1', '!EACCES'],
        [1, 0, 'MKDIR x|', '!EACCES'],
        [1, 0, 'RM x|', '!EACCES'],
        [1, 0, 'RM data|', 'OK|'],
        [1, 0, 'WRITE data|1', '!EACCES'],
      ],
    ],
    [
      'keep other domains out, and do not tell them what is there',
      [
        [1, 0, 'WRITE data/secret|1', 'OK|'],
        [2, 0, 'READ /local/domain/1/data/secret|', '!EACCES'],
        [2, 0, 'READ /local/domain/1/data/nothing|', '!EACCES'],
        [2, 0, 'DIRECTORY /local/domain/1|', '!EACCES'],
        [1, 0, 'READ data/nothing|', '!ENOENT'],
      ],
    ],
    [
      'can be given to one domain',
      [
        [1, 0, 'WRITE data/x|1', 'OK|'],
        [1, 0, 'SET_PERMS data/x|n1|r2|', 'OK|'],
        [1, 0, 'GET_PERMS data/x|', 'n1|r2|'],
        [2, 0, 'READ /local/domain/1/data/x|', '1'],
        [2, 0, 'WRITE /local/domain/1/data/x|2', '!EACCES'],
        [2, 0, 'MKDIR /local/domain/1/data/x|', '!EACCES'],
        [2, 0, 'RM /local/domain/1/data/x|', '!EACCES'],
        [3, 0, 'READ /local/domain/1/data/x|', '!EACCES'],
      ],
    ],
    [
      'can be given to everybody: w, then b',
      [
        [1, 0, 'SET_PERMS data|w1|', 'OK|'],
        [2, 0, 'WRITE /local/domain/1/data/x|2', 'OK|'],
        [2, 0, 'DIRECTORY /local/domain/1/data|', '!EACCES'],
        [1, 0, 'SET_PERMS data|b1|', 'OK|'],
        [2, 0, 'DIRECTORY /local/domain/1/data|', 'x|'],
      ],
    ],
    [
      'are inherited, and a domain owns what it makes',
      [
        [1, 0, 'SET_PERMS data|n1|b2|', 'OK|'],
        [2, 0, 'WRITE /local/domain/1/data/x|2', 'OK|'],
        [0, 0, 'GET_PERMS /local/domain/1/data/x|', 'n2|b2|'],
        [0, 0, 'WRITE /local/domain/1/data/y|2', 'OK|'],
        [0, 0, 'GET_PERMS /local/domain/1/data/y|', 'n1|b2|'],
      ],
    ],
    [
      'are changed by the owner only, and a node is given away by domain 0 only',
      [
        [1, 0, 'SET_PERMS data|b1|', 'OK|'],
        [2, 0, 'SET_PERMS /local/domain/1/data|b2|', '!EACCES'],
        [1, 0, 'SET_PERMS data|n2|', '!EACCES'],
        [0, 0, 'SET_PERMS /local/domain/1/data|n2|', 'OK|'],
        [1, 0, 'READ data|', '!EACCES'],
        [0, 0, 'SET_PERMS /nothing|n2|', '!ENOENT'],
      ],
    ],
    [
      'let only domain 0 introduce and release',
      [
        [1, 0, 'INTRODUCE 5|1|1|', '!EACCES'],
        [1, 0, 'RELEASE 1|', '!EACCES'],
        [0, 0, 'IS_DOMAIN_INTRODUCED 5|', 'F|'],
        [0, 0, 'INTRODUCE 5|1|1|', 'OK|'],
        [0, 0, 'IS_DOMAIN_INTRODUCED 5|', 'T|'],
        [5, 0, 'IS_DOMAIN_INTRODUCED 32752|', 'T|'],
        [0, 0, 'RELEASE 5|', 'OK|'],
        [0, 0, 'RELEASE 5|', '!ENOENT'],
        [1, 0, 'GET_DOMAIN_PATH 9|', '/local/domain/9|'],
      ],
    ],
  ])('%s', (_name, lines) => {
    play([...HOME, ...lines]);
  });

  it('forget a dead domain: what it owned goes, and its name elsewhere', () => {
    const store = play([
      ...HOME,
      [1, 0, 'WRITE data/x/y|1', 'OK|'],
      [0, 0, 'WRITE /other|v', 'OK|'],
      [0, 0, 'SET_PERMS /other|n0|r1|r2|', 'OK|'],
    ]);
    store.server.forgetDomain(1);
    expect(store.ask(0, 0, 'READ /local/domain/1/data|')).toBe('!ENOENT');
    expect(store.ask(0, 0, 'GET_PERMS /other|')).toBe('n0|r2|');
    expect(store.ask(0, 0, 'GET_PERMS /local/domain/1|')).toBe('n0|');
  });
});

describe('XS_TRANSACTION_START and XS_TRANSACTION_END', () => {
  it.each<[string, Line[]]>([
    [
      'shows changes to nobody else before the end',
      [
        [1, 0, 'START |', '1|'],
        [1, 1, 'WRITE data/x|1', 'OK|'],
        [1, 1, 'READ data/x|', '1'],
        [1, 0, 'READ data/x|', '!ENOENT'],
        [1, 1, 'END T|', 'OK|'],
        [1, 0, 'READ data/x|', '1'],
      ],
    ],
    [
      'forgets everything on F',
      [
        [1, 0, 'START |', '1|'],
        [1, 1, 'WRITE data/x|1', 'OK|'],
        [1, 1, 'END F|', 'OK|'],
        [1, 0, 'READ data/x|', '!ENOENT'],
        [1, 1, 'END F|', '!ENOENT'],
      ],
    ],
    [
      'says EAGAIN when what was read has been written',
      [
        [0, 0, 'WRITE /x|1', 'OK|'],
        [0, 0, 'START |', '1|'],
        [0, 1, 'READ /x|', '1'],
        [0, 0, 'WRITE /x|1', 'OK|'],
        [0, 1, 'WRITE /y|1', 'OK|'],
        [0, 1, 'END T|', '!EAGAIN'],
        [0, 0, 'READ /y|', '!ENOENT'],
      ],
    ],
    [
      'says EAGAIN when what was missing has been made, and when a child was added to what was listed',
      [
        [0, 0, 'START |', '1|'],
        [0, 1, 'READ /x|', '!ENOENT'],
        [0, 0, 'START |', '2|'],
        [0, 2, 'DIRECTORY /|', 'local|'],
        [0, 0, 'WRITE /x|1', 'OK|'],
        [0, 1, 'END T|', '!EAGAIN'],
        [0, 2, 'END T|', '!EAGAIN'],
      ],
    ],
    [
      'does not mind what others do elsewhere',
      [
        [0, 0, 'WRITE /a/x|1', 'OK|'],
        [0, 0, 'WRITE /b/x|1', 'OK|'],
        [0, 0, 'START |', '1|'],
        [0, 1, 'WRITE /a/x|2', 'OK|'],
        [0, 0, 'WRITE /b/x|2', 'OK|'],
        [0, 1, 'END T|', 'OK|'],
      ],
    ],
    [
      'keeps each side of a removal apart',
      [
        [0, 0, 'WRITE /a/x|1', 'OK|'],
        [0, 0, 'START |', '1|'],
        [0, 1, 'RM /a|', 'OK|'],
        [0, 1, 'READ /a/x|', '!ENOENT'],
        [0, 0, 'READ /a/x|', '1'],
        [0, 1, 'WRITE /a/y|2', 'OK|'],
        [0, 1, 'END T|', 'OK|'],
        [0, 0, 'DIRECTORY /a|', 'y|'],
        [0, 0, 'READ /a/x|', '!ENOENT'],
      ],
    ],
    [
      'refuses to nest, unknown ids and unknown ends',
      [
        [0, 0, 'START |', '1|'],
        [0, 1, 'START |', '!EBUSY'],
        [0, 1, 'END X|', '!EINVAL'],
        [0, 9, 'READ /|', '!ENOENT'],
        [1, 1, 'READ data|', '!ENOENT'],
        [0, 0, 'END T|', '!ENOENT'],
      ],
    ],
  ])('%s', (_name, lines) => {
    play([...HOME, ...lines]);
  });

  it('fires watches only at the commit', () => {
    const store = play(HOME);
    store.ask(0, 0, 'WATCH /local/domain/1/data|t|');
    store.events(0);
    store.ask(1, 0, 'START |');
    store.ask(1, 1, 'WRITE data/x|1');
    expect(store.events(0)).toEqual([]);
    store.ask(1, 1, 'END T|');
    expect(store.events(0)).toEqual(['/local/domain/1/data/x t']);
  });
});
