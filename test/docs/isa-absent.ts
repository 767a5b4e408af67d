/** What docs/isa.md says is missing, with bytes that must not decode as long as it does. */
export const absent: ReadonlyArray<readonly [what: string, instructions: string, bytes: string]> = [
  ['x87', 'undocumented aliases', 'd9d8 dcd0 dcd8 ddc8 ded0 dfc8 dfd0 dfd8'],
  ['state', 'xsave family', '0fae20 0fae28 0fae30'],
  [
    'later extensions',
    'popcnt, movbe, crc32, SSE3 and up (fisttp, too), BMI, AVX',
    'db08 f30fb8c0 0f38f000 c5f877',
  ],
  [
    'rest of system',
    'sysexit, int1, monitor, mwait, xgetbv, rdpmc, fs and gs base family, VMX but for vmcall',
    '0f35 f1 0f01c8 0f01d0 0f33 f30faec0',
  ],
];
