/**
 * The ring conformance kit, for an author's own tests: wrap the ends in a peer, run a suite, expect no verdict
 * to be a failure. docs/rings.md has the rules, docs/conformance.md a test to begin with.
 */
export { BYTE_RULES } from './byte-rules.ts';
export { type ByteSuiteOptions, byteSuite } from './byte-suite.ts';
export type { Exploration } from './explore.ts';
export { type EndFactories, type EndObject, objectPeer } from './object-peer.ts';
export * from './peer.ts';
export { RING_PROTOCOLS, type RingProtocol, ringProtocol } from './ring-protocols.ts';
export { type RingSuiteOptions, ringSuite } from './ring-suite.ts';
export { RING_RULES, type Rule } from './rules.ts';
export { describeVerdict, type Outcome, type Report, type Step, type Verdict } from './verdict.ts';
export { wasmPeer } from './wasm-peer.ts';
