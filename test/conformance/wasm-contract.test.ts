import { describe, expect, it } from 'vitest';
import { PeerFault } from '../../protocol/conformance/peer.ts';
import { wasmPeer } from '../../protocol/conformance/wasm-peer.ts';
import {
  buildModule,
  type FunctionSpec,
  HEAP_BASE,
  I32,
  I64,
  i32,
  MEMORY_IMPORT,
  peerModule,
  sized,
  text,
} from '../support/wasm-builder.ts';

function refusal(bytes: Uint8Array): string {
  try {
    wasmPeer(bytes, 'end.wasm');
  } catch (error) {
    expect(error).toBeInstanceOf(PeerFault);
    return (error as PeerFault).message;
  }
  throw new Error('it was taken');
}

const verb = (name: string, params: number, change: Partial<FunctionSpec> = {}): FunctionSpec => ({
  name,
  params: Array<number>(params).fill(I32),
  results: [I32],
  code: i32(0),
  ...change,
});
const CUSTOM = (name: string) => Uint8Array.from([0, ...sized(text(name))]);

describe('wasmPeer', () => {
  it('takes a module that keeps the contract, and knows its verbs', () => {
    const peer = wasmPeer(peerModule(), 'end.wasm');
    expect(peer.kind).toBe('wasm');
    expect(peer.grain).toBe('access');
    expect(peer.has('front', 'push')).toBe(true);
    expect(peer.has('front', 'attach')).toBe(false);
    expect(peer.has('back', 'push')).toBe(false);
  });

  it('takes a byte ring, and both roles in one module', () => {
    const bytes = [verb('front_init', 2), verb('front_write', 2), verb('front_read', 2)];
    const back = ['back_request', 'back_response'].map((name) => verb(name, 1));
    const rest = [verb('back_push', 0), verb('back_final_check', 0), verb('back_init', 2)];
    const both = [...bytes, ...back, ...rest, verb('back_attach', 3)];
    const peer = wasmPeer(buildModule({ functions: both }), 'end.wasm');
    expect(peer.has('front', 'write')).toBe(true);
    expect(peer.has('back', 'attach')).toBe(true);
  });

  it('refuses what is no module', () => {
    expect(refusal(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0))).toBe(
      'end.wasm is not a WebAssembly module: it begins with 7f 45 4c 46, not with 00 61 73 6d',
    );
    expect(refusal(new Uint8Array(0))).toMatch(/^end\.wasm is not a .*begins with nothing/);
    expect(refusal(Uint8Array.of(0, 0x61, 0x73, 0x6d, 13, 0, 1, 0))).toBe(
      'end.wasm is not a WebAssembly module of version 1: its version is 0d 00 01 00',
    );
  });

  it('refuses a module that is truncated or invalid', () => {
    const whole = peerModule();
    expect(refusal(whole.subarray(0, whole.length - 3))).toMatch(
      /^end\.wasm is not a valid WebAssembly module: .+/,
    );
    const untyped = peerModule({ front_push: { code: [0x43, 0, 0, 0, 0] } });
    expect(refusal(untyped)).toMatch(/^end\.wasm is not a valid WebAssembly module: .+/);
  });

  it('refuses an object file that is not linked', () => {
    const object = Uint8Array.from([...peerModule(), ...CUSTOM('linking')]);
    expect(refusal(object)).toBe(
      'end.wasm is an object file that is not linked: link it with wasm-ld --no-entry --import-memory',
    );
  });

  it('refuses another memory than env.memory', () => {
    const own = peerModule({}, [], { imports: [], sections: { 5: [1, 0, 1] } });
    expect(refusal(own)).toBe(
      'end.wasm defines its memory itself: it must import env.memory, so link with --import-memory',
    );
    expect(refusal(peerModule({}, [], { imports: [] }))).toMatch(/^end\.wasm has no memory: /);
    const other = peerModule({}, [], { imports: [['js', 'mem', [2, 0, 1]]] });
    expect(refusal(other)).toMatch(/^end\.wasm imports the memory js\.mem: only the memory env/);
  });

  it('refuses any other import, by its name', () => {
    const imports = [MEMORY_IMPORT, ['env', 'printf', [0, 0]]] as const;
    expect(refusal(peerModule({}, [], { imports }))).toBe(
      'end.wasm imports the function env.printf: only the memory env.memory can be imported, so define everything else in the module',
    );
  });

  it('refuses a memory of absurd size', () => {
    const imports = [['env', 'memory', [2, 0, 0x80, 0x80, 4]]] as const;
    expect(refusal(peerModule({}, [], { imports }))).toBe(
      'end.wasm wants a memory of 65536 pages of 64 KiB: at most 1024 are given, so link with a smaller --initial-memory',
    );
  });

  it('refuses a __heap_base that is missing or no constant i32', () => {
    expect(refusal(peerModule({}, [], { exports: [] }))).toBe(
      'end.wasm does not export __heap_base, the end of its own memory: link with -Wl,--export=__heap_base',
    );
    const as = (kind: number, index: number) => ({
      exports: [['__heap_base', kind, index]] as const,
    });
    expect(refusal(peerModule({}, [], as(0, 0)))).toMatch(/__heap_base as a function: it must be/);
    expect(refusal(peerModule({}, [], as(3, 1)))).toMatch(/a __heap_base that is not constant: /);
    const wide = { globals: [[I64, 0, 0x42, 0, 0x0b]] };
    expect(refusal(buildModule({ ...wide, functions: [verb('front_init', 2)] }))).toMatch(
      /^end\.wasm exports __heap_base as a global i64: it must be an i32$/,
    );
    const high = { globals: [[I32, 0, ...i32(-16), 0x0b]] };
    expect(refusal(buildModule({ ...high, functions: [verb('front_init', 2)] }))).toMatch(
      /^end\.wasm has its __heap_base at 4294967280: at most 67108864 bytes can be its own$/,
    );
  });

  it('refuses a module without a whole role, and names what is missing', () => {
    expect(refusal(buildModule({ functions: [verb('main', 0)] }))).toBe(
      'end.wasm exports neither front_init nor back_init: export the verbs of at least one end',
    );
    const most = [verb('front_init', 2), verb('front_push', 0), verb('front_final_check', 0)];
    expect(refusal(buildModule({ functions: [...most, verb('front_response', 1)] }))).toBe(
      'end.wasm exports front_init but no front_request: an end must export all of its verbs',
    );
    const half = [verb('back_init', 2), verb('back_write', 2)];
    expect(refusal(buildModule({ functions: half }))).toMatch(/back_init but no back_read: /);
  });

  it('refuses a verb that is no function, or has another type', () => {
    const global = [['__heap_base', 3, 0] as const, ['back_push', 3, 0] as const];
    expect(refusal(peerModule({}, [], { exports: global }))).toBe(
      'end.wasm exports back_push as a global: it must be a function',
    );
    expect(refusal(peerModule({ front_request: { params: [I64, I32] } }))).toBe(
      'end.wasm exports front_request with the type (i64, i32) -> (i32): it must be (i32) -> (i32)',
    );
    expect(refusal(peerModule({ front_push: { results: [], code: [] } }))).toBe(
      'end.wasm exports front_push with the type () -> (): it must be () -> (i32)',
    );
  });

  it('refuses instructions of proposals that it cannot take apart', () => {
    const caught = [0x06, 0x40, 0x19, 0x0b, ...i32(0)]; // try, catch_all
    expect(refusal(peerModule({ front_push: { code: caught } }))).toBe(
      'end.wasm uses the instruction 0x06, which this kit does not know: compile for plain wasm32',
    );
  });

  it('refuses a module that cannot be instantiated', () => {
    const data = { sections: { 11: [1, 0, ...i32(1 << 27), 0x0b, 1, 9] } };
    expect(refusal(peerModule({}, [], data))).toMatch(/^end\.wasm cannot be instantiated: .+/);
    const start = { sections: { 8: [5] } };
    expect(refusal(peerModule({}, [{ code: [0] }], start))).toBe(
      'end.wasm cannot be instantiated: unreachable',
    );
    const store = [...i32(HEAP_BASE), ...i32(1), 0x36, 2, 0];
    expect(refusal(peerModule({}, [{ code: store }], start))).toBe(
      'end.wasm has a start function that writes 4 bytes at 0 bytes past its own memory, which ends at __heap_base',
    );
  });
});
