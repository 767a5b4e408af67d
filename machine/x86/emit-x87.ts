/** The x87 and MMX have no generated code, nor has what moves blocks: the evaluator does them, with all 80 bits. */
import type { Builder } from './builder.ts';
import type { X87 } from './builder-x87.ts';
import { EmitFloats } from './emit-floats.ts';
import { NotGenerated, type Value } from './emit-values.ts';
import type { HandlerOperand } from './signature.ts';

type Whole = Builder<Value, HandlerOperand>;

const refuse = (): never => {
  throw new NotGenerated('x87 and MMX');
};

/** What their rows call first. */
type First =
  | ('x87' | 'mmx' | 'x87Pending' | 'x87Field' | 'setX87Field' | 'x87Tags' | 'x87Raw')
  | ('vector' | 'setVector' | 'readBlock' | 'writeBlock' | 'loadBlock' | 'storeBlock');

export abstract class EmitX87 extends EmitFloats implements Pick<Whole, First> {
  readonly x87 = refuse;
  readonly mmx = refuse;
  readonly x87Pending = refuse;
  readonly x87Field = refuse;
  readonly setX87Field = refuse;
  readonly x87Tags = refuse;
  readonly x87Raw = refuse;
  readonly vector = refuse;
  readonly setVector = refuse;
  readonly readBlock = refuse;
  readonly writeBlock = refuse;
  readonly loadBlock = refuse;
  readonly storeBlock = refuse;
}

/** A builder without what is called after those only. */
export type WithoutX87 = Omit<Whole, Exclude<keyof X87<Value, HandlerOperand>, First>>;
