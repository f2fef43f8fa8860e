"""The rules: figures in, hypotheses out; never surer than the evidence, silent where nothing is unusual."""

import numpy as np
import pytest

from appliance.analysis.diagnose import SUREST, diagnose, normal_of, sensor_fault
from appliance.analysis.impacts import Family, Impacts, Named
from appliance.analysis.lines import Lines
from appliance.geometry import Geometry
from appliance.records import Validity

SOUND = {"0.5×": 0.02, "1×": 0.8, "1.5×": 0.02, "2×": 0.3, "2.5×": 0.02, "3×": 0.2, "noise": 0.004}
SOUND |= {f"{order}×": 0.1 for order in range(4, 11)} | {
    "mesh": 0.03,
    "mesh sidebands": 0.01,
    "impacts": 0.01,
}
SOUND |= {"blade pass": 0.2}
NORMAL = {name: (0.8 * value, 1.2 * value) for name, value in SOUND.items()}
FAMILY = Family(88.0, 15.0, (1, 2, 3), 0.5)
RACE = Impacts((720.0, 1440.0), FAMILY, Named("outer race", FAMILY, 87.7, 0.0034, 0.0))


def told(changed=None, *, impacts=None, normal=NORMAL, geometry=None, axial=None, **lines):
    figures = SOUND | (changed or {})
    found = Lines(24.5, figures, lines.pop("mesh_order", 23), **lines)
    geometry = geometry or Geometry()
    return diagnose(found, impacts, normal, geometry, compared=True, axial=axial)


def faults(*given, **how):
    return [one.fault for one in told(*given, **how)]


def test_what_is_as_ever_gives_none():
    assert told() == told(normal={}) == ()
    assert told({name: 1.3 * value for name, value in SOUND.items()}) == ()


def test_imbalance_says_what_it_was():
    [found] = told({"1×": 9.8})
    assert found.fault == "imbalance"
    assert found.words == "1× is 100% of the rise; 1× velocity 9.8 mm/s, was 0.64–0.96 in normal running"


def test_strength_grows_with_what_changed_and_is_never_certain():
    strengths = [told({"1×": mms})[0].strength for mms in (1.6, 2.2, 3.0, 50.0)]
    assert strengths == sorted(set(strengths))
    assert strengths[-1] == SUREST


@pytest.mark.parametrize(("axial_mms", "words"), [(0.5, "radial"), (5.0, "axial 100% of radial: bent?")])
def test_the_axial_axis_tells_imbalance_from_a_bent_shaft(axial_mms, words):
    by_axis = np.array([[axial_mms, 0, 0], [5.0, 0, 0], [4.0, 0, 0]])
    [found] = told({"1×": 5.0}, axial=0, by_axis_mms=by_axis)
    assert words in found.words
    assert (found.strength < told({"1×": 5.0})[0].strength) is ("bent" in words)


def test_misalignment_is_the_second_and_third_order():
    assert faults({"2×": 2.0, "3×": 1.0}) == ["misalignment"]
    assert "2× velocity 2 mm/s, was 0.24–0.36" in told({"2×": 2.0, "3×": 1.0})[0].words


def test_looseness_is_many_orders_or_half_ones():
    many = {f"{order}×": 1.0 for order in range(4, 11)}
    assert faults(many) == ["looseness"]
    assert faults({"4×": 1.0, "5×": 1.0}) == []
    assert faults({"4×": 1.0, "5×": 1.0, "0.5×": 0.5}) == ["looseness"]
    rattling = told({**many, "1×": 2.0, "2×": 1.5, "3×": 1.2})
    assert rattling[0].fault == "looseness"
    assert faults({**many, "1×": 9.0})[0] == "imbalance"  # what 1× drives along


def test_without_normal_only_what_is_rough_counts_and_less():
    assert faults({"1×": 2.7}, normal={}) == []
    assert told({"1×": 9.8}, normal={})[0].strength == 0.6
    assert "was" not in told({"1×": 9.8}, normal={})[0].words


def test_orders_that_belong_to_blades_or_mains_are_no_misalignment():
    assert faults({"2×": 3.0}, shared=frozenset({"2×"})) == []
    assert faults({"blade pass": 2.0}) == ["blade pass"]


def test_an_outer_race_as_a_reader_wants_it():
    [found] = told(impacts=RACE)
    assert found.words == (
        "peaks at 1×, 2×, 3× of 88.0 Hz = BPFO within 0.3 %, 15 dB over the floor; "
        "impacts 0.5 m/s², was 0.008–0.012 in normal running"
    )
    assert found.strength > 0.9


def test_impacts_that_were_always_there_are_not_told():
    assert faults(impacts=RACE, normal=NORMAL | {"impacts": (0.1, 0.4)}) == []


def test_impacts_without_a_name_say_what_is_wanting():
    unnamed = Impacts((720.0, 1440.0), FAMILY, None)
    figures = SOUND.copy()
    for speed_hz, compared, words in (
        (24.5, False, "(3.59× shaft), give the bearing's geometry to name it"),
        (24.5, True, "(3.59× shaft), none of this bearing's"),
        (None, True, "speed not certain, so not named"),
    ):
        [found] = diagnose(Lines(speed_hz, figures), unnamed, NORMAL, Geometry(), compared=compared)
        assert found.fault == "impacts"
        assert words in found.words
        assert found.strength < told(impacts=RACE)[0].strength


def test_an_inner_race_without_sidebands_is_less_sure():
    def inner(sidebands_hz):
        named = Named("inner race", FAMILY, 87.7, 0.0034, sidebands_hz)
        return told(impacts=Impacts((720.0, 1440.0), FAMILY, named))[0]

    assert inner(0.0).strength < inner(24.5).strength
    assert "sidebands ±24.5 Hz" in inner(24.5).words


def test_gear_needs_a_mesh_that_rose_with_sidebands():
    worn = {"mesh": 1.0, "mesh sidebands": 0.4}
    [found] = told(worn, geometry=Geometry(teeth=23))
    assert found.words.startswith("gear mesh 23× = 564 Hz 1 m/s², was 0.024–0.036 in normal running")
    assert told(worn)[0].strength <= 0.6
    assert "are those the teeth?" in told(worn)[0].words
    assert faults({"mesh": 1.0, "mesh sidebands": 0.05}) == []
    assert faults({"mesh": 1.0, "mesh sidebands": 1.5}) == []  # a resonance that every order excites
    assert faults(worn, mesh_order=0) == []
    assert faults(worn, impacts=RACE) == ["outer race"]  # which ring at every order


def test_lubrication_is_noise_without_impacts_and_says_load():
    [found] = told({"noise": 0.012})
    assert found.fault == "lubrication"
    assert "2.5× its normal" in found.words
    assert "load" in found.words
    assert found.strength <= 0.7
    assert faults({"noise": 0.012}, impacts=RACE) == ["outer race"]
    assert faults({"noise": 0.012}, normal={}) == []


def test_at_most_three_strongest_first():
    found = told({"1×": 2.5, "2×": 1.0, "3×": 1.2, "noise": 0.02, "blade pass": 3.0}, impacts=RACE)
    assert len(found) == 3
    assert [one.strength for one in found] == sorted((one.strength for one in found), reverse=True)


def test_normal_is_the_middle_of_what_was_seen():
    rows = [{"1×": 1.0 + i / 100, "noise": 0.004} for i in range(101)] + [{"noise": 0.004, "2×": 3.0}]
    normal = normal_of(rows)
    assert normal["1×"] == pytest.approx((1.025, 1.975))
    assert normal["noise"] == (0.004, 0.004)
    assert "2×" not in normal  # once is not normal
    assert normal_of([]) == {}


def test_a_sensor_that_is_not_ok_says_why():
    [found] = sensor_fault(Validity.GAP | Validity.STUCK)
    assert (found.fault, found.words) == ("sensor", "samples are missing, an axis does not move")
    assert sensor_fault(Validity.OK) == ()
    assert all(sensor_fault(flag) for flag in Validity if flag)
