"""The digitizer's driver on real ptys: nothing lost unseen, nothing wrong taken, back after an unplugging."""

import contextlib
import os
import pty
import random
import tempfile
import threading
import time
import tty
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.guard.sampleclock import SampleClock
from appliance.sensors import Trouble
from hw.digitizer import Digitizer
from hw.frames import CLIP, OVERRUN, Frame, encode
from hw.ports import PortError, Vibration
from hw.serial_line import SerialLine
from hw.sim.accelerometer import SimAccelerometer
from hw.sim.clock import SimClock
from hw.sim.digitizer import SimDigitizer
from hw.sim.machine_time import MachineTime
from hw.sim.rotor import Machine

RATE_HZ = 6400.0
SCALE_MPS2 = 0.004788403
SAMPLES = 64


class Wire:
    """A tty that a test writes to."""

    def __init__(self, link, block_s=0.04) -> None:
        self.master, self.kept = pty.openpty()
        tty.setraw(self.kept)
        link.symlink_to(os.ttyname(self.kept))
        self.driver = Digitizer(
            SerialLine(link), MachineTime(SimClock()), RATE_HZ, SCALE_MPS2, block_s=block_s, settle_s=0.0
        )
        self.driver.start()
        self.send(b"\0")

    def send(self, *items):
        for item in items:
            os.write(self.master, encode(item) if isinstance(item, Frame) else item)

    def close(self):
        self.driver.stop()
        os.close(self.master)
        os.close(self.kept)


def frame(seq, flags=0, samples=SAMPLES, axes=3, rate_mhz=6_400_000, scale_nmps2=4_788_403, full_scale=32767):
    counts = np.random.default_rng(seq % 2**32).integers(-300, 300, (samples, axes)).astype(np.int16)
    return Frame(counts, seq % 2**32, rate_mhz, scale_nmps2, full_scale, flags)


def frames(first, count, flags=0):
    return [frame(first + SAMPLES * at, flags) for at in range(count)]


@pytest.fixture
def wire(tmp_path):
    wire = Wire(tmp_path / "usb-digitizer")
    yield wire
    wire.close()


@pytest.fixture
def simulate(tmp_path):
    made = []

    def build(frame_samples=256, **options):
        clock = SimClock()
        source = SimAccelerometer(Machine(), clock, **{"rate_hz": RATE_HZ, "block_s": 0.04, **options})
        device = SimDigitizer(tmp_path / "usb-digitizer", source, frame_samples)
        driver = Digitizer(
            SerialLine(device.link),
            MachineTime(clock),
            source.rate_hz,
            source.scale_mps2,
            axes=source.axes,
            noise_mps2=source.noise_mps2,
        )
        made.append((device, driver))
        return device, driver

    yield build
    for device, driver in made:
        driver.stop()
        with contextlib.suppress(OSError):
            device.unplug()


def drains(driver, seconds):
    end_s = time.monotonic() + seconds
    found = []
    while time.monotonic() < end_s:
        samples = driver.read()
        if len(samples.counts):
            found.append(samples)
    return found


def test_every_sample_as_it_was_sent(wire):
    sent = frames(1000, 20)
    wire.send(*sent)
    found = [wire.driver.read() for _ in range(5)]
    assert np.array_equal(np.concatenate([x.counts for x in found]), np.concatenate([x.counts for x in sent]))
    assert all(x.lost == 0 and not x.clipped and x.counts.dtype == np.int16 for x in found)
    assert [len(x.counts) for x in found] == [256] * 5


def test_seq_wraps(wire):
    wire.send(*frames(2**32 - 128, 4))
    assert wire.driver.read().lost == 0


@pytest.mark.parametrize("missing", [1, 63, 64, 1000])
def test_a_gap_ends_the_drain_and_is_counted_to_the_sample(wire, missing):
    before, after = frames(0, 2), frames(2 * SAMPLES + missing, 4)
    wire.send(*before, *after)
    first, second = wire.driver.read(), wire.driver.read()
    assert (len(first.counts), first.lost) == (2 * SAMPLES, 0)
    assert (len(second.counts), second.lost) == (4 * SAMPLES, missing)


def test_a_damaged_frame_is_a_gap(wire):
    sent = frames(0, 6)
    damaged = bytearray(encode(sent[2]))
    damaged[50] ^= 4
    wire.send(*sent[:2], bytes(damaged), *sent[3:])
    first, second = wire.driver.read(), wire.driver.read()
    assert (first.lost, second.lost) == (0, SAMPLES)
    assert np.array_equal(second.counts[:SAMPLES], sent[3].counts)


@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.sampled_from([0, 0, 0, 1, 2, 59, 5000])), min_size=1, max_size=10
    )
)
@settings(max_examples=60, deadline=None)
def test_no_schedule_of_losses_hides_a_sample(schedule):
    """Frames of any length, samples missing between them: what arrives plus what is known lost is all."""
    with tempfile.TemporaryDirectory() as folder:
        wire = Wire(Path(folder) / "tty", block_s=1e-6)
        seq, sent = 0, []
        for samples, missing in schedule:
            wire.send(frame(seq, samples=samples))
            sent += range(seq, seq + samples)
            seq += samples + missing
        wire.send(frame(seq, samples=1))
        place, found = 0, []
        while place <= seq:
            samples = wire.driver.read()
            place += samples.lost
            found += range(place, place + len(samples.counts))
            place += len(samples.counts)
        wire.close()
    assert found == [*sent, seq]


def test_flags(wire):
    wire.send(*frames(0, 3), *frames(3 * SAMPLES, 1, CLIP), *frames(4 * SAMPLES, 4, 0))
    assert [wire.driver.read().clipped for _ in range(2)] == [True, False]
    wire.send(*frames(8 * SAMPLES, 1, OVERRUN), *frames(9 * SAMPLES, 3))
    assert wire.driver.read().lost == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": 1}, "1 axes"),
        ({"rate_mhz": 3_200_000}, "3200 Hz"),
        ({"scale_nmps2": 9_576_806}, r"0\.00957681 m/s² a count"),
        ({"full_scale": 2047}, "2047 counts"),
    ],
)
def test_another_device_is_refused(wire, change, message):
    wire.send(frame(0, **change))
    with pytest.raises(PortError, match=rf"it says .*{message}.*, expected 3 axes, 6400 Hz"):
        wire.driver.read()


def test_a_digitizer_that_began_anew(wire):
    wire.send(*frames(100_000, 4))
    wire.driver.read()
    wire.send(*frames(0, 4))
    with pytest.raises(PortError, match="sample 0 came, expected 100256; the digitizer began anew"):
        wire.driver.read()
    wire.driver.start()
    wire.send(b"\0", *frames(512, 4))
    assert len(wire.driver.read().counts) == 256


def test_silence_and_noise_are_faults_in_a_second(wire):
    def until_fault():
        begin = time.monotonic()
        with pytest.raises(PortError) as fault:
            drains(wire.driver, 3.0)
        assert time.monotonic() - begin < 1.6
        return str(fault.value)

    assert "no right frame for 1 s (0 refused: no frame yet)" in until_fault()
    wire.driver.start()
    wire.send(b"\0", b"hello, I am a GPS\0" * 3)
    assert "(3 refused: " in until_fault()


def test_not_started(tmp_path):
    with pytest.raises(PortError, match="call start"):
        Digitizer(SerialLine(tmp_path / "x"), MachineTime(SimClock()), RATE_HZ, SCALE_MPS2).read()


def test_the_simulated_machine_arrives_and_its_clock_is_measured(simulate):
    _, driver = simulate(clock_ppm=30_000.0)
    port: Vibration = driver
    port.start()
    found = drains(port, 6.0)
    clock = SampleClock(port.rate_hz)
    for samples in found:
        assert samples.lost == 0
        clock.update(len(samples.counts), samples.host_ns, samples.lost)
    assert clock.trusted
    assert clock.rate_hz == pytest.approx(RATE_HZ * 1.03, rel=5e-3)  # closer: the contract
    accel = np.concatenate([x.counts for x in found]) * port.scale_mps2
    assert accel[:, 2].mean() == pytest.approx(9.80665, abs=0.05)
    twin = Machine().vibration(RATE_HZ, 3)
    twin_rms = np.concatenate([twin.chunk(RATE_HZ * 1.03) for _ in range(40)]).std(axis=0)
    assert accel.std(axis=0) == pytest.approx(twin_rms, rel=0.15)


def test_what_the_device_lost_is_known(simulate):
    device, driver = simulate(troubles=[Trouble("dropout", 1.0, 1.5)])
    driver.start()
    found = drains(driver, 1.9)
    lost = sum(x.lost for x in found)
    assert lost == pytest.approx(0.5 * RATE_HZ / 2, abs=0.1 * RATE_HZ)
    assert sum(len(x.counts) for x in found) + lost <= device.sent
    assert found[-1].lost == 0


def test_an_overdriven_front_end_is_told(simulate):
    _, driver = simulate(troubles=[Trouble("clip", 1.0, 1.4)])
    driver.start()
    found = drains(driver, 1.7)
    assert [x.clipped for x in found[:2]] == [False, False]
    assert 2 <= sum(x.clipped for x in found) <= 8
    assert not found[-1].clipped


def test_what_was_held_back_while_nobody_listened_is_not_taken_for_new(simulate):
    device, driver = simulate(rate_hz=25_600.0, block_s=0.01)
    time.sleep(1.5)
    driver.start()
    begun = device.sent
    found = drains(driver, 1.0)
    assert sum(x.lost for x in found) == 0
    assert sum(len(x.counts) for x in found) >= 0.7 * (device.sent - begun)
    spread_s = (found[-1].host_ns - found[0].host_ns) * 1e-9
    assert sum(len(x.counts) for x in found[1:]) == pytest.approx(spread_s * 25_600.0, rel=0.15)


def test_a_host_that_stood_still_knows_what_it_missed(simulate):
    """The kernel's buffer and the device's overflow; the samples are counted all the same."""
    device, driver = simulate(rate_hz=25_600.0)
    driver.start()
    first = driver.read()
    time.sleep(1.5)
    found = [first, *drains(driver, 1.0)]
    known = sum(len(x.counts) + x.lost for x in found)
    assert sum(x.lost for x in found) > 1000
    assert device.sent - known < 0.4 * 25_600.0
    assert found[-1].lost == 0


def test_unplugged_and_back(simulate):
    device, driver = simulate()
    driver.start()
    assert drains(driver, 0.3)
    device.unplug()
    with pytest.raises(PortError, match=r"No such device|Input/output error"):
        drains(driver, 1.0)
    with pytest.raises(PortError, match="No such file"):
        driver.start()
    device.plug_in()
    driver.start()
    assert drains(driver, 0.5)[-1].lost == 0


def test_a_million_fuzzed_bytes_through_the_driver(wire):
    """Frames with faults of every kind over the real tty: a sample that is taken was sent, in its place."""
    rng = random.Random(11)
    fuzzed = taken = faults = seq = 0
    stop = threading.Event()

    def feed():
        nonlocal fuzzed, seq
        while fuzzed < 1_000_000:
            data = bytearray(encode(frame(seq, samples=256)))
            seq += 256
            match rng.randrange(8):
                case 0:
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
                case 1:
                    del data[rng.randrange(len(data)) :]
                case 2:
                    data[:0] = rng.randbytes(rng.randint(1, 400))
                case 3:
                    data = bytearray()
            fuzzed += len(data)
            wire.send(bytes(data))
        stop.set()

    thread = threading.Thread(target=feed)
    thread.start()
    place = None
    while not stop.is_set():
        try:
            samples = wire.driver.read()
        except PortError:
            faults += 1
            wire.driver.start()
            place = None
            continue
        if not len(samples.counts):
            continue
        if place is None:
            place = find(samples.counts[:256], seq)
        else:
            place += samples.lost
        for at in range(0, len(samples.counts), 256):
            assert np.array_equal(samples.counts[at : at + 256], frame(place, samples=256).counts)
            place += 256
        taken += len(samples.counts)
    thread.join()
    assert faults == 0
    assert taken > 50_000


def find(counts, seq):
    """Where in the stream this frame was."""
    return next(s for s in range(0, seq + 1, 256) if np.array_equal(counts, frame(s, samples=256).counts))


def test_cpu_time_at_full_rate(simulate):
    """25.6 kHz of three axes must leave room: less than a tenth of a core for driver and decoding."""
    _, driver = simulate(rate_hz=25_600.0, block_s=0.01)
    driver.start()
    begin_s = time.thread_time()
    found = drains(driver, 2.0)
    share = (time.thread_time() - begin_s) / 2.0
    assert sum(len(x.counts) for x in found) > 1.5 * 25_600
    assert share < 0.1
