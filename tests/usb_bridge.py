"""A Microchip MCP2221A, USB to I2C, played through /dev/uhid: a /dev/i2c-N by the kernel's own driver.

Source: MCP2221A datasheet DS20005565B, section 3 (HID commands); Linux drivers/hid/hid-mcp2221.c.
"""

import os
import secrets
import struct
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from hw.sim.bus import Chip

REPORT = bytes.fromhex("0600ff0901a1010901150026ff00750895408102090195409102c0")
"""Vendor-defined, 64 bytes in, 64 bytes out."""
CREATE2, DESTROY, OUTPUT, GET_REPORT, GET_REPORT_REPLY, INPUT2, SET_REPORT, SET_REPORT_REPLY = (
    11, 1, 6, 9, 10, 12, 13, 14,
)  # fmt: skip
EVENT = 4380
STATUS, READ_DATA, WRITE, READ, WRITE_NO_STOP, READ_REPEATED = 0x10, 0x40, 0x90, 0x91, 0x94, 0x93
CANCEL, SET_SPEED, NACKED = 0x10, 0x20, 0x40


class UsbI2cBridge:
    """Plug it in with chips behind it; `unplug` pulls it. Machine time begins with the plug."""

    def __init__(self, chips: Mapping[int, Chip]) -> None:
        self._chips = dict(chips)
        self._begun_s = time.monotonic()
        self._held = (0, b"")
        self._answer = b""
        self._nacked = False
        self.carried = 0
        serial = secrets.token_hex(8)
        self._fd = os.open("/dev/uhid", os.O_RDWR)
        names = struct.pack("128s64s64s", b"MCP2221 USB-I2C/UART Combo", b"bench", serial.encode())
        about = struct.pack("<HHIIII", len(REPORT), 3, 0x04D8, 0x00DD, 0x0111, 0)
        os.write(self._fd, struct.pack("<I", CREATE2) + names + about + REPORT.ljust(4096, b"\0"))
        threading.Thread(target=self._serve, daemon=True).start()
        self.path = self._appeared(serial)

    @staticmethod
    def _appeared(serial: str) -> Path:
        end_s = time.monotonic() + 5.0
        while time.monotonic() < end_s:
            for about in Path("/sys/bus/hid/devices").glob("*/uevent"):
                if f"HID_UNIQ={serial}" in about.read_text():
                    for adapter in about.parent.glob("i2c-*"):
                        return Path("/dev") / adapter.name
            time.sleep(0.02)
        raise AssertionError("the kernel made no I2C adapter of the bridge in 5 s")

    def unplug(self) -> None:
        """Gone at once; the kernel forgets the adapter only when nobody holds its /dev/i2c-N open."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            threading.Thread(target=self._destroy, args=(fd,), daemon=True).start()

    def _destroy(self, fd: int) -> None:
        os.write(fd, struct.pack("<I", DESTROY))
        os.close(fd)

    def _serve(self) -> None:
        fd = self._fd
        while self._fd >= 0:
            try:
                event = os.read(fd, EVENT)
                kind = int.from_bytes(event[:4], "little")
                if kind == OUTPUT:
                    size = int.from_bytes(event[4100:4102], "little")
                    reply = self._command(event[4 : 4 + size])
                    os.write(fd, struct.pack("<IH", INPUT2, 64) + reply.ljust(64, b"\0"))
                elif kind == GET_REPORT:
                    os.write(fd, struct.pack("<I", GET_REPORT_REPLY) + event[4:8] + struct.pack("<HH", 5, 0))
                elif kind == SET_REPORT:
                    os.write(fd, struct.pack("<I", SET_REPORT_REPLY) + event[4:8] + struct.pack("<H", 0))
            except OSError:
                assert self._fd < 0, "uhid failed while plugged in"

    def _command(self, sent: bytes) -> bytes:
        sent = sent.ljust(64, b"\0")
        code = sent[0]
        reply = bytearray(64)
        reply[0] = code
        if code == STATUS:
            if sent[2] == CANCEL:
                self._nacked = False
            if sent[3] == SET_SPEED:
                reply[3] = SET_SPEED
            reply[20] = NACKED if self._nacked else 0
        elif code in {WRITE, WRITE_NO_STOP}:
            address, data = sent[3] >> 1, sent[4 : 4 + int.from_bytes(sent[1:3], "little")]
            self._held = (address, data)
            self._nacked = address not in self._chips
            if code == WRITE:
                self._carry(address, data, 0)
        elif code in {READ, READ_REPEATED}:
            address = sent[3] >> 1
            held, self._held = self._held, (0, b"")
            write = held[1] if code == READ_REPEATED and held[0] == address else b""
            self._answer = self._carry(address, write, int.from_bytes(sent[1:3], "little"))
        elif code == READ_DATA:
            self._hand_over(reply)
        return bytes(reply)

    def _hand_over(self, reply: bytearray) -> None:
        if self._nacked:
            reply[2] = 0x25
            return
        part, self._answer = self._answer[:60], self._answer[60:]
        reply[2] = 0x54 if self._answer else 0x55
        reply[3] = len(part)
        reply[4 : 4 + len(part)] = part

    def _carry(self, address: int, write: bytes, count: int) -> bytes:
        chip = self._chips.get(address)
        self._nacked = chip is None
        if chip is None:
            return b""
        self.carried += 1
        return chip.transfer(bytes(write), count, time.monotonic() - self._begun_s)
