import { describe, expect, it } from 'vitest';
import { DEFAULT_QUOTA } from '../../drivers/store-server.ts';
import { type Line, StoreTest } from './store-text-client.ts';

function play(lines: readonly Line[], quota = DEFAULT_QUOTA): StoreTest {
  const store = new StoreTest(quota);
  for (const [who, tx, operation, expected] of lines) {
    expect(store.ask(who, tx, operation), `domain ${who}: ${operation}`).toBe(expected);
  }
  return store;
}

/** Domain 1 with a home that it may read and a `data` directory of its own. */
const HOME: readonly Line[] = [
  [0, 0, 'MKDIR /local/domain/1|', 'OK|'],
  [0, 0, 'SET_PERMS /local/domain/1|n0|r1|', 'OK|'],
  [0, 0, 'MKDIR /local/domain/1/data|', 'OK|'],
  [0, 0, 'SET_PERMS /local/domain/1/data|n1|', 'OK|'],
];

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

describe('XS_WATCH', () => {
  it('fires once at registration, with the path as it was given', () => {
    const store = play(HOME);
    expect(store.ask(1, 0, 'WATCH data|tok|')).toBe('OK|');
    expect(store.events(1)).toEqual(['data tok']);
  });

  it('keeps a relative path relative, and an absolute one absolute', () => {
    const store = play([
      ...HOME,
      [1, 0, 'WATCH data|rel|', 'OK|'],
      [1, 0, 'WATCH /local/domain/1/data|abs|', 'OK|'],
    ]);
    store.events(1);
    store.ask(0, 0, 'WRITE /local/domain/1/data/x/y|1');
    expect(store.events(1)).toEqual(['data/x/y rel', '/local/domain/1/data/x/y abs']);
  });

  it('hears of the removal of a node above it, by its own path', () => {
    const store = play([...HOME, [0, 0, 'WRITE /a/b/c|1', 'OK|'], [0, 0, 'WATCH /a/b|t|', 'OK|']]);
    store.events(0);
    store.ask(0, 0, 'RM /a|');
    expect(store.events(0)).toEqual(['/a/b t']);
  });

  it('says nothing about what the watcher may not read', () => {
    const store = play([...HOME, [2, 0, 'WATCH /local/domain/1|t|', 'OK|']]);
    store.events(2);
    store.ask(1, 0, 'WRITE data/x|1');
    store.ask(1, 0, 'RM data/x|');
    expect(store.events(2)).toEqual([]);
  });

  it('is one for each path and token, and ends with XS_UNWATCH', () => {
    const store = play([
      ...HOME,
      [1, 0, 'WATCH data|t|', 'OK|'],
      [1, 0, 'WATCH data|t|', '!EEXIST'],
      [1, 0, 'WATCH data|u|', 'OK|'],
      [1, 0, 'UNWATCH data|t|', 'OK|'],
      [1, 0, 'UNWATCH data|t|', '!ENOENT'],
    ]);
    store.events(1);
    store.ask(1, 0, 'WRITE data/x|1');
    expect(store.events(1)).toEqual(['data/x u']);
  });

  it('ends, like the transactions, with XS_RESET_WATCHES', () => {
    const store = play([
      ...HOME,
      [1, 0, 'WATCH data|t|', 'OK|'],
      [1, 0, 'START |', '1|'],
      [1, 0, 'RESET_WATCHES |', 'OK|'],
      [1, 1, 'READ data|', '!ENOENT'],
    ]);
    store.events(1);
    store.ask(1, 0, 'WRITE data/x|1');
    expect(store.events(1)).toEqual([]);
  });

  it('tells domain 0, and nobody else, of domains that come and go', () => {
    const store = play([
      [0, 0, 'WATCH @introduceDomain|i|', 'OK|'],
      [0, 0, 'WATCH @releaseDomain|r|', 'OK|'],
      [1, 0, 'WATCH @introduceDomain|i|', 'OK|'],
    ]);
    store.events(0);
    store.events(1);
    store.ask(0, 0, 'INTRODUCE 4|1|1|');
    store.ask(0, 0, 'RELEASE 4|');
    expect(store.events(0)).toEqual(['@introduceDomain i', '@releaseDomain r']);
    expect(store.events(1)).toEqual([]);
  });

  it('sums up for a client that does not read', () => {
    const store = play([...HOME, [1, 0, 'WATCH data|t|', 'OK|']]);
    const client = store.client(1);
    for (let i = 0; i < 1000; i++) store.ask(0, 0, `WRITE /local/domain/1/data/x${i}|1`);
    expect(client.waiting).toBeLessThan(300);
    const events = store.events(1);
    expect(events.at(-1)).toBe('data t');
    store.ask(0, 0, 'WRITE /local/domain/1/data/x|1');
    expect(store.events(1)).toEqual(['data/x t']);
  });
});

describe('quotas', () => {
  const quota = {
    nodes: 3,
    watches: 2,
    transactions: 2,
    transactionNodes: 5,
    valueBytes: 8,
    permissions: 2,
  };

  it.each<[string, Line[]]>([
    [
      'bound the nodes that a domain owns: ENOSPC',
      [
        [1, 0, 'WRITE data/a|1', 'OK|'],
        [1, 0, 'WRITE data/b/c|1', '!ENOSPC'],
        [1, 0, 'WRITE data/b|1', 'OK|'],
        [1, 0, 'MKDIR data/c|', '!ENOSPC'],
        [1, 0, 'RM data/a|', 'OK|'],
        [1, 0, 'MKDIR data/c|', 'OK|'],
        [0, 0, 'MKDIR /local/domain/1/data/d|', 'OK|'],
      ],
    ],
    [
      'bound the nodes that two transactions make together',
      [
        [1, 0, 'MKDIR data/x|', 'OK|'],
        [1, 0, 'START |', '1|'],
        [1, 1, 'MKDIR data/a|', 'OK|'],
        [0, 0, 'MKDIR /local/domain/1/data/x/y|', 'OK|'],
        [1, 1, 'END T|', '!ENOSPC'],
      ],
    ],
    [
      'bound the watches: E2BIG',
      [
        [1, 0, 'WATCH data|a|', 'OK|'],
        [1, 0, 'WATCH data|b|', 'OK|'],
        [1, 0, 'WATCH data|c|', '!E2BIG'],
      ],
    ],
    [
      'bound the open transactions: ENOSPC',
      [
        [1, 0, 'START |', '1|'],
        [1, 0, 'START |', '2|'],
        [1, 0, 'START |', '!ENOSPC'],
        [1, 1, 'END F|', 'OK|'],
        [1, 0, 'START |', '3|'],
      ],
    ],
    [
      'bound what a transaction looks at: ENOSPC',
      [
        [1, 0, 'START |', '1|'],
        [1, 1, 'READ data/a/b/c/d|', '!ENOENT'],
        [1, 1, 'READ data|', '!ENOSPC'],
        [1, 1, 'END F|', 'OK|'],
      ],
    ],
    [
      'bound a value and the permissions of a node: ENOSPC',
      [
        [1, 0, 'WRITE data/a|12345678', 'OK|'],
        [1, 0, 'WRITE data/a|123456789', '!ENOSPC'],
        [1, 0, 'SET_PERMS data|n1|r2|r3|', '!ENOSPC'],
      ],
    ],
  ])('%s', (_name, lines) => {
    play([...HOME, ...lines], quota);
  });
});
