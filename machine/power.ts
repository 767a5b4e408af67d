/**
 * How a machine ends itself: the ACPI sleep register, and the keyboard controller's pulse on the reset line.
 * @source ACPI 6.5, 4.8.3.2.1 (PM1 control); IBM PC/AT Technical Reference (8042 command 0xFE)
 */

/** PM1 control register: bits of the sleep request. */
export const PM1_CNT_SCI_EN = 0x0001;
export const PM1_CNT_SLP_TYP = 0x1c00;
export const PM1_CNT_SLP_EN = 0x2000;
/** 8042 command that pulses the processor's reset line. */
export const KBC_PULSE_RESET = 0xfe;

export type PowerOff = 'poweroff' | 'reboot';

/** Registers: the two bytes of PM1a_CNT, then the 8042's status and command. */
export const POWER_PM1_CNT_LOW = 0;
export const POWER_PM1_CNT_HIGH = 1;
export const POWER_KBC = 2;

export class Power {
  readonly #powerOff: (reason: PowerOff) => void;
  #pm1Control = PM1_CNT_SCI_EN;

  constructor(powerOff: (reason: PowerOff) => void) {
    this.#powerOff = powerOff;
  }

  read(register: number): number {
    switch (register) {
      case POWER_PM1_CNT_LOW:
        return this.#pm1Control & 0xff;
      case POWER_PM1_CNT_HIGH: // SLP_EN reads as zero
        return (this.#pm1Control & PM1_CNT_SLP_TYP) >> 8;
      default: // the 8042 has taken the last command and has no data
        return 0;
    }
  }

  write(register: number, value: number): void {
    switch (register) {
      case POWER_PM1_CNT_LOW:
        this.#pm1Control = (this.#pm1Control & 0xff00) | value;
        break;
      case POWER_PM1_CNT_HIGH:
        this.#pm1Control = (this.#pm1Control & 0xff) | (value << 8);
        if (((value << 8) & PM1_CNT_SLP_EN) !== 0) this.#powerOff('poweroff');
        break;
      case POWER_KBC:
        if (value === KBC_PULSE_RESET) this.#powerOff('reboot');
        break;
    }
  }
}
