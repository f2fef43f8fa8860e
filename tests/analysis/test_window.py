"""Windows: constant length, never a gap inside an OK one, every clean span used."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.analysis.window import Windower
from appliance.records import SampleBlock, Validity

RATE_HZ = 1000.0
SCALE = 0.01


def block(seq, first, n, *, rate_hz=RATE_HZ, axes=2, **fields):
    """A block whose counts are the running sample number, so that a window shows what it is made of."""
    counts = np.repeat(np.arange(first, first + n, dtype="<i2")[:, None], axes, axis=1)
    fields = {"sensor": "de", "scale_mps2": SCALE, **fields}
    t0 = round(first * 1e9 / RATE_HZ)
    return SampleBlock(seq=seq, t0_mono_ns=t0, rate_hz=rate_hz, axes=axes, counts=counts.tobytes(), **fields)


def numbers(window):
    return np.round(window.accel[0] / SCALE).astype(int)


def test_windows_are_cut_with_overlap_in_si_units_and_with_times():
    windower = Windower("de", 0.1, 0.5, RATE_HZ)
    windows = [w for i in range(5) for w in windower.push(block(i, 50 * i, 50, rate_hz=1000.0 + i))]
    assert [(numbers(w)[0], numbers(w)[-1]) for w in windows] == [(0, 99), (50, 149), (100, 199), (150, 249)]
    assert [w.rate_hz for w in windows] == [1001, 1002, 1003, 1004]
    for window in windows:
        assert window.ok
        assert window.validity is Validity.OK
        assert window.accel.dtype == np.float32
        assert window.accel.shape == (2, 100)
        assert window.t0_mono_ns == numbers(window)[0] * 1_000_000
        assert window.t1_mono_ns == pytest.approx((numbers(window)[-1] + 1) * 1_000_000, rel=1e-3)


def test_axes_and_sign_survive():
    counts = np.array([[1, -2, 3], [-4, 5, -6]], dtype="<i2")
    sample = SampleBlock("de", 0, 0, RATE_HZ, 3, 0.5, counts.tobytes())
    (window,) = Windower("de", 0.002, 0, RATE_HZ).push(sample)
    assert window.accel.tolist() == [[0.5, -2.0], [-1.0, 2.5], [1.5, -3.0]]


def test_a_window_is_its_own_copy():
    windower = Windower("de", 0.01, 0.5, RATE_HZ)
    (first,) = windower.push(block(0, 0, 10))
    kept = first.accel.copy()
    for i in range(1, 30):
        windower.push(block(i, 10 * i, 10))
    assert np.array_equal(first.accel, kept)


def test_flags_of_every_touched_block_and_no_other():
    windower = Windower("de", 0.1, 0.5, RATE_HZ)
    flags = [Validity.OK, Validity.CLIP, Validity.OK, Validity.GRAVITY, Validity.OK, Validity.OK, Validity.OK]
    windows = [w for i, flag in enumerate(flags) for w in windower.push(block(i, 50 * i, 50, validity=flag))]
    expected = [Validity.CLIP, Validity.CLIP, Validity.GRAVITY, Validity.GRAVITY, Validity.OK, Validity.OK]
    assert [w.validity for w in windows] == expected
    assert all(w.accel.shape == (2, 100) for w in windows)


def test_flags_without_overlap_do_not_reach_the_next_window():
    windower = Windower("de", 0.05, 0, RATE_HZ)
    flags = [Validity.STUCK, Validity.OK]
    windows = [w for i, flag in enumerate(flags) for w in windower.push(block(i, 50 * i, 50, validity=flag))]
    assert [w.validity for w in windows] == flags


def test_a_block_without_samples_hands_its_flags_on():
    windower = Windower("de", 0.05, 0, RATE_HZ)
    assert windower.push(block(0, 0, 0, validity=Validity.LOST)) == []
    (window,) = windower.push(block(1, 0, 50))
    assert window.validity is Validity.LOST
    (window,) = windower.push(block(2, 50, 50))
    assert window.ok


def test_after_a_jump_the_stream_restarts_with_the_block_itself():
    windower = Windower("de", 0.1, 0.5, RATE_HZ)
    assert windower.push(block(0, 0, 80)) == []
    spoilt, clean = windower.push(block(2, 160, 120))
    assert (spoilt.validity, spoilt.accel.shape) == (Validity.GAP, (2, 0))
    assert (spoilt.t0_mono_ns, spoilt.t1_mono_ns) == (0, 160_000_000)
    assert clean.ok
    assert numbers(clean).tolist() == list(range(160, 260))


@pytest.mark.parametrize("torn", [{"lost": 3}, {"validity": Validity.GAP}])
def test_a_torn_block_is_not_used(torn):
    windower = Windower("de", 0.1, 0.5, RATE_HZ)
    windower.push(block(0, 0, 80))
    (spoilt,) = windower.push(block(1, 83, 120, **torn))
    assert Validity.GAP in spoilt.validity
    assert spoilt.t1_mono_ns == 203_000_000
    (clean,) = windower.push(block(2, 203, 100))
    assert clean.ok
    assert numbers(clean)[0] == 203


def test_a_storm_of_gaps_is_reported_once_per_hop():
    windower = Windower("de", 0.1, 0.5, RATE_HZ)
    reports = [w for i in range(100) for w in windower.push(block(i, 10 * i, 10, lost=1))]
    assert all(not w.ok for w in reports)
    assert 15 <= len(reports) <= 1000 // 50 + 1
    starts = [w.t0_mono_ns for w in reports]
    ends = [w.t1_mono_ns for w in reports]
    assert all(b - a >= 50_000_000 for a, b in pairwise(ends))
    assert all(start <= end for start, end in zip(starts[1:], ends[:-1], strict=True)), (
        "no part of the storm unsaid"
    )


def test_a_guard_that_starts_anew_is_a_gap():
    windower = Windower("de", 0.1, 0.5, RATE_HZ)
    windower.push(block(41, 0, 90))
    spoilt, clean = windower.push(block(0, 500, 100))
    assert not spoilt.ok
    assert numbers(clean)[0] == 500


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"sensor": "nde"}, "'nde' in the stream of 'de'"), ({"axes": 3}, "3 axes, expected 2")],
)
def test_a_block_that_does_not_belong_is_refused(fields, words):
    windower = Windower("de", 0.1, 0.5, RATE_HZ)
    windower.push(block(0, 0, 10))
    with pytest.raises(ValueError, match=words):
        windower.push(block(1, 10, 10, **fields))


def test_a_broken_size_is_refused():
    with pytest.raises(ValueError, match="holds 5 bytes for 2 axes"):
        Windower("de", 0.1, 0.5, RATE_HZ).push(SampleBlock("de", 0, 0, RATE_HZ, 2, SCALE, b"12345"))


@pytest.mark.parametrize(
    ("window_s", "overlap"), [(0.0001, 0.5), (0.1, 1.0), (0.1, -0.1), (0.1, float("nan"))]
)
def test_a_window_that_cannot_be_is_refused(window_s, overlap):
    with pytest.raises(ValueError, match=r"choose a longer|expected 0 <= overlap"):
        Windower("de", window_s, overlap, RATE_HZ)


events = st.lists(
    st.tuples(st.integers(0, 70), st.sampled_from(["ok", "ok", "ok", "ok", "jump", "lost", "flag", "clip"])),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(events=events, n=st.integers(1, 90), overlap=st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.99]))
def test_clean_spans_yield_exactly_their_windows_and_gaps_none(events, n, overlap):
    windower = Windower("de", n / RATE_HZ, overlap, RATE_HZ)
    spans, clipped, got = [[0, 0]], set(), []
    gaps = 0
    seq = first = 0
    for size, kind in events:
        if kind == "jump":
            gaps += seq > 0  # nothing is known to be missing before the first block
            seq, first = seq + 2, first + 7
        if kind in ("lost", "flag"):
            gaps += 1
            first += 5
        fields = {
            "lost": {"lost": 5},
            "flag": {"validity": Validity.GAP},
            "clip": {"validity": Validity.CLIP},
        }
        got += windower.push(block(seq, first, size, **fields.get(kind, {})))
        if kind == "jump":
            spans.append([first, first])
        if kind in ("lost", "flag"):
            spans.append([first + size, first + size])
        else:
            spans[-1][1] = first + size
        if kind == "clip":
            clipped |= set(range(first, first + size)) or {first}
        first += size
        seq += 1
    whole = [w for w in got if w.accel.shape[1]]
    expected = [s for a, b in spans for s in range(a, b - n + 1, windower.hop)]
    assert [numbers(w)[0] for w in whole] == expected
    for window in whole:
        inside = numbers(window)
        assert inside.tolist() == list(range(inside[0], inside[0] + n)), "a window spans a gap"
        assert Validity.GAP not in window.validity
        if clipped & set(inside.tolist()):
            assert not window.ok
        elif not clipped:
            assert window.ok
    spoilt = [w for w in got if not w.accel.shape[1]]
    assert bool(spoilt) == bool(gaps)
    assert all(Validity.GAP in w.validity and w.t0_mono_ns <= w.t1_mono_ns for w in spoilt)
