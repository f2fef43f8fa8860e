"""The Modbus master: golden frames, a slave that misbehaves, a million bytes of noise."""

import random
import threading
import time

import pytest

from hw.modbus import Modbus, ModbusRefusedError, _checked, crc16, frame
from hw.ports import PortError
from hw.serial_line import SerialLine
from hw.sim.modbus_slave import ModbusSlave

REGISTERS = {address: (address * 7919) & 0xFFFF for address in range(100)}
FAULTS = {
    "silence": "no answer in time; check power",
    "crc": r"CRC .* expected",
    "torn": r"4 bytes .*expected 9",
    "wrong_slave": "slave 8 answered, expected 7",
    "late": "no answer",
    "short_count": "6 bytes of registers, expected 4",
}


def words(first, count):
    wanted = range(first, first + count)
    return [REGISTERS[x] for x in wanted] if all(x in REGISTERS for x in wanted) else None


def expected(first, count):
    return tuple(REGISTERS[x] for x in range(first, first + count))


@pytest.fixture
def make(tmp_path):
    made = []

    def build(**options):
        echoes = {key: options.pop(key) for key in ("echo",) if key in options}
        slave = ModbusSlave(tmp_path / "rs485", 7, words, late_s=0.1, echo=echoes.get("echo", False))
        options.setdefault("echo", echoes.get("echo", False))
        master = Modbus(SerialLine(slave.link, 115200), **{"timeout_s": 0.06, **options})
        made.append((slave, master))
        return slave, master

    yield build
    for slave, master in made:
        master.close()
        slave.unplug()


@pytest.mark.parametrize(
    ("body", "crc"),
    [
        ("01 03 14 50 00 06", "C0 29"),
        ("01 03 00 10 00 06", "C4 0D"),
        ("01 03 0C 00 2E 00 6C 06 25 02 06 00 47 00 B6", "BD F3"),
        ("01 03 14 50 00 16", "C1 E5"),
        ("50 03 00 34 00 13", "48 48"),
        ("50 06 00 69 B5 88", "22 A1"),
    ],
)
def test_golden_check_bytes(body, crc):
    data = bytes.fromhex(body)
    assert crc16(data) == bytes.fromhex(crc)
    assert frame(data[0], data[1], data[2:]) == bytes.fromhex(body + crc)


def test_crc_is_the_bitwise_one():
    def bitwise(data):
        crc = 0xFFFF
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        return crc.to_bytes(2, "little")

    rng = random.Random(1)
    for size in range(60):
        data = rng.randbytes(size)
        assert crc16(data) == bitwise(data)


@pytest.mark.parametrize("function", [3, 4])
def test_reads(make, function):
    _, master = make()
    assert master.read(7, function, 20, 5) == expected(20, 5)
    assert master.read(7, function, 0, 100) == expected(0, 100)
    assert master.read(7, function, 99, 1) == expected(99, 1)


def test_writes(make):
    slave, master = make()
    master.write(7, 0x69, 0xB588)
    assert slave.written == [(0x69, 0xB588)]


@pytest.mark.parametrize("fate", FAULTS)
def test_a_fault_is_named_and_the_next_question_is_answered(make, fate):
    slave, master = make(retries=0)
    slave.fates.append(fate)
    with pytest.raises(PortError, match=FAULTS[fate]):
        master.read(7, 3, 10, 2)
    assert master.read(7, 3, 50, 2) == expected(50, 2)


@pytest.mark.parametrize("fate", [fate for fate in FAULTS if fate != "short_count"])
def test_one_fault_costs_one_retry(make, fate):
    slave, master = make(retries=1)
    slave.fates.append(fate)
    assert master.read(7, 3, 10, 2) == expected(10, 2)
    assert slave.questions == 2


def test_a_refusal_is_not_asked_again(make):
    slave, master = make(retries=3)
    with pytest.raises(ModbusRefusedError, match=r"exception 2 \(illegal data address\)"):
        master.read(7, 3, 99, 2)
    slave.fates.append("exception")
    with pytest.raises(ModbusRefusedError, match=r"exception 6 \(device busy\)"):
        master.read(7, 3, 10, 2)
    assert slave.questions == 2


def test_a_late_answer_is_never_taken_for_the_next_one(make):
    """Both questions ask for as many registers: only waiting tells their answers apart."""
    slave, master = make(retries=0)
    for first in range(0, 40, 4):
        slave.fates.append("late")
        with pytest.raises(PortError):
            master.read(7, 3, first, 2)
        assert master.read(7, 3, first + 50, 2) == expected(first + 50, 2)


def test_an_adapter_that_echoes(make):
    slave, master = make(echo=True)
    assert master.read(7, 3, 20, 5) == expected(20, 5)
    master.write(7, 1, 2)
    assert slave.written == [(1, 2)]


def test_an_echo_that_nobody_expected_is_named(tmp_path):
    slave = ModbusSlave(tmp_path / "rs485", 7, words, echo=True)
    master = Modbus(SerialLine(slave.link, 115200), timeout_s=0.06, retries=0)
    with pytest.raises(PortError, match="set echo = true"):
        master.read(7, 3, 20, 5)
    slave.fates.append("silence")
    with pytest.raises(PortError, match=r"set echo = true|bytes"):
        master.read(7, 3, 20, 2)
    master.close()
    slave.unplug()


def test_an_echo_that_does_not_come_is_named(make):
    slave, _ = make()
    master = Modbus(SerialLine(slave.link, 115200), timeout_s=0.06, retries=0, echo=True)
    with pytest.raises(PortError, match="set echo = false"):
        master.read(7, 3, 20, 5)
    master.close()


def test_another_slave_is_silent(make):
    _, master = make(retries=0)
    with pytest.raises(PortError, match=r"rs485: slave 9: no answer"):
        master.read(9, 3, 0, 1)


def test_unplugged_and_back(make):
    slave, master = make(retries=0)
    assert master.read(7, 3, 1, 1) == expected(1, 1)
    slave.unplug()
    with pytest.raises(PortError, match="No such"):
        master.read(7, 3, 1, 1)
    slave.plug_in()
    assert master.read(7, 3, 1, 1) == expected(1, 1)


def test_threads_take_turns(make):
    _, master = make()
    wrong = []

    def ask(first):
        wrong.extend(1 for _ in range(25) if master.read(7, 3, first, 4) != expected(first, 4))

    threads = [threading.Thread(target=ask, args=(first,)) for first in (0, 30, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_fault_never_takes_long(make):
    slave, master = make(retries=1)
    slave.fates.extend(["silence", "silence"])
    begin = time.monotonic()
    with pytest.raises(PortError):
        master.read(7, 3, 0, 2)
    assert time.monotonic() - begin < 2.0  # 0.15 s of waiting; the rest is for a busy machine


@pytest.mark.parametrize(
    ("slave", "function", "count"), [(0, 3, 1), (248, 3, 1), (1, 6, 1), (1, 3, 0), (1, 3, 126)]
)
def test_questions_that_cannot_be(make, slave, function, count):
    _, master = make()
    with pytest.raises(ValueError, match="expected"):
        master.read(slave, function, 0, count)


def test_a_million_fuzzed_bytes_in_answers():
    """Answers with bytes flipped, cut, doubled, or pure noise: refused, or right to the byte."""
    rng = random.Random(2)
    question = frame(7, 3, bytes([0, 10, 0, 20]))
    right = frame(7, 3, bytes([40]) + b"".join(REGISTERS[x].to_bytes(2, "big") for x in range(10, 30)))
    fuzzed = taken = 0
    while fuzzed < 1_000_000:
        answer = bytearray(right)
        match rng.randrange(5):
            case 0:
                for _ in range(rng.randint(1, 4)):
                    answer[rng.randrange(len(answer))] ^= 1 << rng.randrange(8)
            case 1:
                del answer[rng.randrange(len(answer)) :]
            case 2:
                place = rng.randrange(len(answer))
                answer[place:place] = answer[place : place + rng.randint(1, 5)]
            case 3:
                answer = bytearray(rng.randbytes(rng.randint(0, 60)))
            case _:
                answer[rng.randrange(len(answer))] = rng.randrange(256)
        fuzzed += len(answer)
        try:
            payload = _checked(bytes(answer), question)
        except PortError:
            continue
        taken += 1
        assert payload == right[2:-2]
    assert taken > 0


def test_noise_on_the_line(make):
    """What a slave with a broken transceiver sends never becomes a register, nor another kind of fault."""
    slave, master = make(retries=0)
    rng = random.Random(3)
    noise = {"left": 150}

    def spoilt(_answer, _function, _fate):
        return rng.randbytes(rng.randint(1, 200))

    slave._spoilt = spoilt
    master._timeout_s = 0.004
    while noise["left"]:
        noise["left"] -= 1
        with pytest.raises(PortError):
            master.read(7, 3, 10, 20)
