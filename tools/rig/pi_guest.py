"""On the emulated Raspberry Pi: our drivers do what the console asks for, one line each; see pi.py."""

import json
import sys
from pathlib import Path

from hw.gpio_lines import GpioOutput, Line
from hw.i2c_linux import LinuxI2c
from hw.lm75 import Lm75
from hw.modbus import READ_HOLDING, Modbus
from hw.monoclock import MonoClock
from hw.serial_line import SerialLine


def main() -> None:
    # A TMP105 starts with 9 bits, like an LM75.
    thermometer = Lm75(LinuxI2c(Path("/dev/i2c-1")), MonoClock(), 0x48, period_s=0.3, bits=9)
    relay = GpioOutput(Line("pinctrl-bcm2835", 17))
    transmitter = Modbus(SerialLine(Path("/dev/ttyUSB0")), timeout_s=5.0)
    answer({"ready": Path("/proc/device-tree/model").read_text().rstrip("\0")})
    for line in sys.stdin:
        match line.split():
            case ["temperature"]:
                reading = None
                while reading is None:
                    reading = thermometer.read()
                answer({"degc": reading.degc})
            case ["relay", level]:
                relay.write(level == "on")
                answer({"read_back": relay.read()})
            case ["modbus", first, count]:
                answer({"registers": transmitter.read(1, READ_HOLDING, int(first), int(count))})


def answer(what: object) -> None:
    print(f"\npi: {json.dumps(what)}", flush=True)


if __name__ == "__main__":
    main()
