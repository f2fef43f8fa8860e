"""Sound configuration files: what is read is what was written, and msgspec agrees."""

import re
from pathlib import Path

import msgspec
import pytest
import tomli_w
from config_files import SENSOR, THERMOMETER, faults, written
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.check import describe, load
from appliance.config import Config, Limit
from appliance.errors import ConfigError
from appliance.sensors import RecordedVibration, SimTemperature, SimVibration


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Config()
    assert load(written(tmp_path, "# nothing\r\n")) == Config()


def test_a_good_file_with_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.wav").touch()
    text = "state_dir = 'state'\nrun_dir = '/run/x'\n" + SENSOR + "range_g = 16\n"
    text += "[[vibration]]\ndriver = 'recording'\nname = 'nde'\npath = 'a.wav'\n"
    text += "[limits]\nrms_mps2 = { danger = 9999 }\n"
    written(tmp_path / "conf", text + THERMOMETER + "troubles = [{ kind = 'stuck' }]\n")
    monkeypatch.chdir(tmp_path)
    config = load(Path("conf/appliance.toml"))
    assert config.state_dir == tmp_path / "conf" / "state"
    assert config.run_dir == Path("/run/x")
    assert [type(sensor) for sensor in config.vibration] == [SimVibration, RecordedVibration]
    assert isinstance(config.vibration[1], RecordedVibration)
    assert config.vibration[1].path == tmp_path / "conf" / "a.wav"
    assert isinstance(config.vibration[0], SimVibration)
    assert isinstance(config.vibration[0].range_g, float)
    assert config.limits.rms_mps2 == Limit(danger=9999.0)
    assert isinstance(config.temperature[0], SimTemperature)
    assert config.temperature[0].troubles[0].kind == "stuck"


def test_describe_names_what_a_person_looks_for(tmp_path: Path) -> None:
    text = "machine = { site = 'graz', asset = 'pump-7' }\n" + SENSOR + THERMOMETER
    words = describe(written(tmp_path, text + "[limits.score_ratio]\n[uplink]\nhost = 'mq'\n"))
    for part in (
        "graz/area/pump-7/appliance",
        "de (sim, 6400 Hz × 3, ±16 g)",
        "t (sim, every 1 s)",
        "channel de.peak: Alert 80 m/s² (default), Danger 120 m/s² (default) after 1 s",
        "channel de.score: not watched",
        "broker: mq:1883, in the clear",
        "from the plant: nothing",
    ):
        assert part in words
    tls = "[uplink]\nhost = 'mq'\n[uplink.tls]\n"
    assert "broker: mq:1883, TLS, without a certificate of ours" in describe(written(tmp_path, tls))
    ours = tls + "cert_file = 'c'\nkey_file = 'k'\n"
    assert "broker: mq:1883, TLS, with our certificate" in describe(written(tmp_path, ours))
    assert "broker: none" in describe(written(tmp_path, "uplink.enabled = false\n"))
    asked = '[uplink.commands]\nallow = ["reset", "ack", "evidence"]\nwaveforms = true\n'
    lacking = 'from the plant: ack, evidence, reset (refused: trip_reset is "only at the machine")\n'
    assert lacking in describe(written(tmp_path, asked))
    both = asked + 'trip_reset = "from afar, nobody can reach the machine"\n'
    assert "from the plant: ack, evidence, reset\n" in describe(written(tmp_path, both))


WRONG = st.one_of(
    st.none(),
    st.integers(-3, 70000),
    st.floats(),
    st.booleans(),
    st.sampled_from(["sim", "de", "", "trip", "A B"]),
)


@st.composite
def nearly_good(draw: st.DrawFn) -> dict[str, object]:
    """The default configuration as TOML data with some of its leaves replaced or renamed."""
    data = msgspec.to_builtins(Config(), enc_hook=str)

    def spoil(node: object) -> object:
        if isinstance(node, dict):
            pairs = ((f"{k}x" if draw(st.integers(0, 99)) == 0 else k, spoil(v)) for k, v in node.items())
            return {k: v for k, v in pairs if v is not None}
        if isinstance(node, list | tuple):
            return [spoil(item) for item in node]
        return draw(WRONG) if draw(st.integers(0, 30)) == 0 else node

    spoilt = spoil(data)
    assert isinstance(spoilt, dict)
    return spoilt


@settings(max_examples=300, deadline=None)
@given(nearly_good())
def test_agrees_with_msgspec_about_types(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]
) -> None:
    """Whatever we accept msgspec accepts, to the same values; what it refuses we refuse."""
    path = tmp_path_factory.getbasetemp() / "appliance.toml"
    path.write_text(tomli_w.dumps(data))

    def to_path(_: type, raw: object) -> Path:
        if not isinstance(raw, str) or not raw:
            raise ValueError(raw)
        return path.parent / raw

    try:
        expected = msgspec.convert(data, Config, dec_hook=to_path)
    except msgspec.ValidationError:
        assert faults(path)
        return
    try:
        found = load(path)
    except ConfigError as fault:  # what msgspec does not know: nan, tag left out, faults between keys
        hidden = (
            r"nan is|inf is|e\+30\d is"
            "|missing; one of sim|not below|is no file|in run_dir|beyond|window of|backoff_s"
            "|is no kind of machine|never negative|for a rise|which then never acts|slowest, then fastest"
        )
        assert all(re.search(hidden, line) for line in str(fault).split("\n")), fault  # noqa: PT017
        return
    assert found == expected
