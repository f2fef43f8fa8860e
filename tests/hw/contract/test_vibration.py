"""The contract of the Vibration port for every driver: simulated, recorded, streamed, chips on a bus."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vibration_ports import CHIPS, PORTS, Mounted, Streamed, Trouble, unplug_all

from appliance.guard.sampleclock import SampleClock
from hw.accelerometer import Accelerometer
from hw.ports import STANDARD_GRAVITY_MPS2, PortError, Samples, Vibration
from hw.recording import Gap
from hw.sim.bus import KINDS, BusFault

G = STANDARD_GRAVITY_MPS2
every_port = pytest.mark.parametrize("mount", PORTS.values(), ids=PORTS)
every_chip = pytest.mark.parametrize("case", CHIPS.values(), ids=CHIPS)
LATEST_START = 40
"""Samples that a driver may leave out while its chip settles."""
FAULT_S = (0.5, 1.5)
GAIN = 6.0
"""So violent that no two stretches look alike, and nothing clips."""


@pytest.fixture(autouse=True)
def unplugged():
    yield
    unplug_all()


def started(mounted: Mounted) -> Mounted:
    mounted.port.start()
    return mounted


def decoded(port: Vibration, drains: list[Samples]):
    return np.concatenate([drain.counts for drain in drains]).astype(np.float64) * port.scale_mps2


def position(block, true, tolerance: float, first: int, last: int) -> int | None:
    """Where in `true`, from first to last, this block lies; None if nowhere."""
    for at in range(first, min(last, len(true) - len(block)) + 1):
        if np.abs(block[0] - true[at]).max() <= tolerance and (
            np.abs(block - true[at : at + len(block)]).max() <= tolerance
        ):
            return at
    return None


def tolerance_mps2(mounted: Mounted) -> float:
    """Half a step of rounding, a whole one where the chip cuts the lowest bit off, and float32."""
    steps = 0.55 if mounted.lsb == 1.0 else mounted.lsb - 0.4
    return steps * mounted.port.scale_mps2 + 1e-4


@every_port
def test_what_it_passes_fits_its_rate(mount):
    port = started(mount()).port
    assert 0.1 * port.rate_hz < port.bandwidth_hz <= 0.51 * port.rate_hz


@every_port
def test_drains_are_whole_and_in_order(mount):
    port = started(mount()).port
    before_ns = 0
    for _ in range(5):
        drain = port.read()
        assert drain.counts.dtype == np.int16
        assert drain.counts.ndim == 2
        assert drain.counts.shape[1] == port.axes
        assert len(drain.counts) > 0
        assert drain.lost == 0
        assert drain.host_ns > before_ns
        before_ns = drain.host_ns
    assert port.rate_hz > 0
    assert port.scale_mps2 > 0
    assert 0 < port.full_scale_counts <= 32767


@every_port
def test_read_before_start_says_so(mount):
    with pytest.raises(PortError, match=r"call start\(\)"):
        mount().port.read()


@every_port
def test_gravity_is_there(mount):
    mounted = started(mount())
    assert mounted.port.dc_coupled
    mean = decoded(mounted.port, mounted.reads(20)).mean(axis=0)
    assert mean[-1] == pytest.approx(G, rel=0.01)
    assert np.abs(mean[:-1]).max() < 0.03 * G


@every_port
def test_decodes_what_the_machine_does(mount):
    mounted = started(mount())
    accel = decoded(mounted.port, mounted.reads(10))
    true = mounted.truth(len(accel) + LATEST_START)
    assert accel.std() > 3 * mounted.port.scale_mps2 * 0.1
    assert position(accel, true, tolerance_mps2(mounted), 0, LATEST_START) is not None


@every_port
def test_a_clock_three_per_cent_off_is_measured(mount):
    mounted = started(mount())
    clock, true_hz = SampleClock(mounted.port.rate_hz), pytest.approx(mounted.true_hz, rel=0.0005)
    for _ in range(4 if isinstance(mounted, Streamed) else 1):  # in real time a busy machine needs longer
        for drain in mounted.reads(100):
            clock.update(len(drain.counts), drain.host_ns, drain.lost)
        if clock.rate_hz == true_hz:
            break
    assert clock.rate_hz == true_hz


@every_port
def test_begins_again_after_a_stop(mount):
    mounted = started(mount())
    mounted.reads(2)
    mounted.port.stop()
    mounted.port.start()
    drains = mounted.reads(3)
    assert sum(len(drain.counts) for drain in drains) > 0
    assert decoded(mounted.port, drains)[:, -1].mean() == pytest.approx(G, rel=0.1)


@pytest.mark.parametrize("name", [name for name in PORTS if name != "recording"])
def test_full_scale_clips_and_never_wraps(name):
    mounted = started(PORTS[name](gain=1000.0))
    counts = np.concatenate([drain.counts for drain in mounted.reads(10)])
    full = mounted.port.full_scale_counts
    assert counts.max() >= full - 1
    assert counts.min() in {-full - 1, -full}
    true = mounted.truth(len(counts) + LATEST_START) / mounted.port.scale_mps2
    clipped = np.clip(true, -full - 1, full)
    step = tolerance_mps2(mounted) / mounted.port.scale_mps2 + 1.0
    assert position(counts.astype(np.float64), clipped, step, 0, LATEST_START) is not None


def test_simulated_tells_of_what_it_dropped():
    mounted = started(PORTS["simulated"](troubles=[Trouble("dropout", 0.5, 0.9)]))
    taken = sum(len(drain.counts) + drain.lost for drain in mounted.reads(20))
    true_s = taken / mounted.true_hz
    assert true_s == pytest.approx(2.0, rel=0.05)


def test_recording_tells_of_its_gaps():
    mounted = started(PORTS["recording"](gaps=(Gap(after=1000, missing=7),)))
    assert sum(drain.lost for drain in mounted.reads(20)) == 7


# What only a chip on a bus can have.


class Follower:
    """Knows where in the truth the driver is, and holds it to what it says of losses."""

    def __init__(self, mounted: Mounted, seconds: float) -> None:
        self._scale = mounted.port.scale_mps2
        self._true = mounted.truth(int(seconds * mounted.true_hz) + LATEST_START)
        self._tolerance = tolerance_mps2(mounted)
        self._at: int | None = None
        self._unsure = False

    def follow(self, drain: Samples) -> None:
        block = drain.counts.astype(np.float64) * self._scale
        if not len(block):
            return
        if drain.lost or self._unsure:
            self._unsure = False
            block, at = self._resumed(block)
        elif self._at is None:
            at = position(block, self._true, self._tolerance, 0, LATEST_START)
            assert at is not None, "the first samples are none of the machine's"
        else:
            at = position(block, self._true, self._tolerance, self._at, self._at)
            assert at is not None, "samples are missing and nobody says so"
        self._at = at + len(block)

    def _resumed(self, block):
        """What of the block lies behind the last gap, and where; longest first."""
        for length in (len(block), 64, 32, 16, 8):
            tail = block[-length:]
            at = position(tail, self._true, self._tolerance, self._at or 0, len(self._true))
            if at is not None:
                return tail, at
        head = position(block[:16], self._true, self._tolerance, self._at or 0, len(self._true))
        assert head is not None, "samples come twice or are none of the machine's"
        self._unsure = True  # the gap lies so late in it that its rest is too short to find
        return block[:16], head


@every_chip
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pauses=st.lists(st.floats(0.0, 2.5), min_size=4, max_size=8),
    hiccups=st.lists(st.tuples(st.floats(0.02, 0.6), st.floats(0.1, 1.5)), max_size=3),
)
def test_a_lost_sample_is_always_noticed(case, pauses, hiccups):
    """pauses between reads and hiccups inside transfers, in lengths of the FIFO."""
    fifo_s = case.chip.DEPTH / case.nominal_hz
    slow = [BusFault("slow", at_s, at_s + 1e-3, length * fifo_s) for at_s, length in hiccups]
    mounted = started(case.mount(slow, gain=GAIN, block_s=0.05))
    drains = []
    for pause in pauses:
        mounted.clock.sleep(pause * fifo_s)
        drains.append(mounted.port.read())
    follower = Follower(mounted, mounted.clock.t_s - mounted.chip.motion.began_s)
    for drain in drains:
        follower.follow(drain)


@every_chip
@pytest.mark.parametrize("length", [1.0, 1.2, 1.7])
def test_a_pause_between_status_and_data_is_noticed(case, length):
    """The FIFO runs over after it was asked and before it is read; length: of the pause, in FIFOs."""
    pause_s = length * case.chip.DEPTH / case.nominal_hz
    quiet = started(case.mount(gain=GAIN))
    quiet.reads(3)
    due_s = quiet.port._due_ns * 1e-9
    slow = BusFault("slow", due_s + 1e-6, due_s + 4e-4, pause_s)
    mounted = started(case.mount([slow], gain=GAIN))
    drains = mounted.reads(6)
    follower = Follower(mounted, mounted.clock.t_s - mounted.chip.motion.began_s)
    for drain in drains:
        follower.follow(drain)
    assert sum(drain.lost for drain in drains) > 0


@every_chip
def test_a_pause_in_a_drain_that_fits_into_the_fifo_loses_nothing(case):
    """Chips that can tell whether they were full are asked; the time that passed is only a bound."""
    mounted = started(case.mount())
    if type(mounted.port).overran is Accelerometer.overran:
        pytest.skip("this chip cannot tell")
    mounted.reads(3)
    rest = case.chip.DEPTH - mounted.port._service_ns * 1e-9 * mounted.true_hz - 3
    due_s = mounted.port._due_ns * 1e-9
    slow = BusFault("slow", due_s + 1e-6, due_s + 4e-4, rest / mounted.true_hz)
    mounted = started(case.mount([slow]))
    assert sum(drain.lost for drain in mounted.reads(10)) == 0


@every_chip
def test_an_overrun_is_counted_well(case):
    mounted = started(case.mount())
    mounted.port.read()
    before_s = mounted.clock.t_s
    mounted.clock.sleep(10 * case.chip.DEPTH / case.nominal_hz)
    drains = mounted.reads(5)
    taken = sum(len(drain.counts) + drain.lost for drain in drains)
    assert any(drain.lost for drain in drains)
    assert taken == pytest.approx((mounted.clock.t_s - before_s) * mounted.true_hz, rel=0.1)


@every_chip
def test_served_in_time_nothing_is_called_lost(case):
    mounted = started(case.mount())
    assert sum(drain.lost for drain in mounted.reads(50)) == 0


def run_until_fault(mounted: Mounted, longest: int = 200) -> str:
    for _ in range(longest):
        try:
            mounted.port.read()
        except PortError as fault:
            return str(fault)
    return ""


def run_until_well(mounted: Mounted, longest: int = 200) -> tuple[str, Samples]:
    """As the guard does: start until it reads. What the last failed start said, and the first drain."""
    said = ""
    for _ in range(longest):
        try:
            mounted.port.start()
            drain = mounted.port.read()
        except PortError as fault:
            said = str(fault)
            mounted.clock.sleep(0.05)
        else:
            return said, drain
    pytest.fail(f"it never recovered: {said}")


REASONS_I2C = {
    "nack": "no acknowledge",
    "stuck_sda": "SDA",
    "corrupt": "expected",
    "swapped": "0x42",
    "brownout": "brown-out",
}
ADVICE_SPI = {"nack": "expected", "stuck_sda": "expected", "corrupt": "expected", "swapped": "0x42|424242"}


def test_every_kind_of_bus_fault_is_tried_on_every_chip():
    """Slow transfers are no fault but a loss: `test_a_pause_between_status_and_data_is_noticed`."""
    assert {*REASONS_I2C, "slow"} == set(KINDS)


@every_chip
@pytest.mark.parametrize("kind", REASONS_I2C)
def test_a_bus_fault_is_named_and_ends(case, kind):
    mounted = started(case.mount([BusFault(kind, *FAULT_S, amount=0.5)]))
    reason = run_until_fault(mounted)
    reasons = REASONS_I2C if case.address is not None else REASONS_I2C | ADVICE_SPI
    if kind in {"corrupt", "swapped"}:  # caught by whatever check meets it first
        assert "expected" in reason
    else:
        assert reasons[kind] in reason, reason
    assert reason.startswith(mounted.port.part)
    said, first = run_until_well(mounted)
    if kind == "swapped":
        assert "0x42, expected" in said
    assert mounted.clock.t_s >= FAULT_S[0 if kind == "brownout" else 1]
    follower = Follower(mounted, 5.0)
    for drain in [first, *mounted.reads(5)]:
        assert drain.lost == 0
        follower.follow(drain)


@every_chip
def test_a_read_after_a_fault_asks_for_a_start(case):
    mounted = started(case.mount([BusFault("nack", *FAULT_S)]))
    assert run_until_fault(mounted)
    with pytest.raises(PortError, match="call start"):
        mounted.port.read()


@every_chip
def test_an_absent_chip_cannot_be_started(case):
    mounted = case.mount([BusFault("nack", 0.0, 1e9)])
    with pytest.raises(PortError, match="expected") as caught:
        mounted.port.start()
    assert str(caught.value).startswith(mounted.port.part)
    mounted.port.stop()


@every_chip
def test_a_brownout_is_seen_within_six_seconds(case):
    mounted = started(case.mount([BusFault("brownout", 1.0, 1.0)]))
    reason = run_until_fault(mounted)
    assert "brown-out" in reason or "part" in reason
    assert mounted.clock.t_s < 7.0


@every_chip
def test_a_changed_register_is_seen_within_six_seconds(case):
    """Whichever it is: with another range samples go on to come, only their scale is wrong."""
    registers = list(started(case.mount()).port.registers._written)
    assert registers
    for register in registers:
        mounted = started(case.mount())
        mounted.reads(2)
        mounted.chip.registers[register] ^= 0x04
        reason = run_until_fault(mounted)
        assert f"({register:#04x}) reads" in reason
        assert "expected" in reason
        assert mounted.clock.t_s < 6.0


@every_chip
def test_a_read_stays_below_a_quarter_of_a_second(case):
    mounted = started(case.mount(block_s=0.25))
    for _ in range(4):
        before_s = mounted.clock.t_s
        mounted.port.read()
        assert mounted.clock.t_s - before_s < 0.3
    with pytest.raises(ValueError, match="block_s"):
        case.mount(block_s=0.26)
