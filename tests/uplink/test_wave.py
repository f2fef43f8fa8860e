"""Waveforms to the plant through a real broker: only where allowed, in pieces, whole again bit for bit."""

import contextlib
import hashlib
import json
import os
import random
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

import msgspec
import pytest
from asking import asking, guard
from hypothesis import given, settings
from hypothesis import strategies as st
from running import config, event, eventually, running

from appliance.remote import Commands
from appliance.requests import PlantAct
from appliance.store import Store
from appliance.uplink.command import Unfit
from appliance.uplink.wave import HEADER_BYTES, PIECE_BYTES, Waveforms

NAME = "9000000000-de.peak"
SENDING = Commands(allow=("evidence", "ping"), waveforms=True)


def evidence(folder, size_bytes=300_000, name=NAME, end=".npz"):
    path = folder / "evidence" / f"{name}{end}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(random.Random(size_bytes).randbytes(size_bytes))
    return path


class Pieces:
    """What a consumer does: gathers chunks and asks for what is missing."""

    def __init__(self, upload):
        self.upload, self.count, self.data = upload, None, {}

    def take(self, chunks, *, losing=()):
        for chunk in chunks:
            magic, upload, index, count, crc32 = struct.unpack_from("<4s8sIII", chunk)
            assert (magic, upload.hex()) == (b"PDW1", self.upload)
            assert zlib.crc32(chunk[HEADER_BYTES:]) == crc32
            self.count = count
            if index not in losing:
                self.data[index] = chunk[HEADER_BYTES:]

    @property
    def missing(self):
        return sorted(set(range(self.count)) - set(self.data))

    @property
    def whole(self):
        return b"".join(self.data[index] for index in sorted(self.data))


def test_a_waveform_arrives_and_what_was_lost_comes_again_bit_for_bit(tmp_path, mosquitto):
    path = evidence(tmp_path)
    port = mosquitto().port
    with asking(port) as plant, guard(tmp_path) as one, running(config(tmp_path, port, commands=SENDING)):
        plant.online()
        answer = plant.ask("evidence", name=NAME)
        assert (answer["ok"], answer["message"]) == (True, "5 chunks follow")
        assert one.asked == [PlantAct(f"evidence {NAME}, 300000 bytes", "mqtt:anna")]
        eventually(lambda: plant.of("wave/manifest"))
        manifest = plant.of("wave/manifest")[0]
        waves = [topic.rpartition("/")[2] for topic, *_ in plant.heard if "/wave/" in topic]
        assert waves == ["chunk"] * 5 + ["manifest"]
        pieces = Pieces(answer["upload"])
        pieces.take(plant.chunks(), losing=(1, 3))
        assert pieces.missing == [1, 3]
        before = len(plant.heard)
        again = plant.ask("evidence", upload=answer["upload"], missing=pieces.missing)
        assert (again["message"], again["upload"]) == ("2 chunks follow", answer["upload"])
        eventually(lambda: plant.of("wave/manifest", before))
        assert len(plant.chunks(before)) == 2
        pieces.take(plant.chunks(before))
        assert pieces.whole == path.read_bytes()
        assert hashlib.sha256(pieces.whole).hexdigest() == manifest["sha256"]
        assert (manifest["bytes"], manifest["chunks"], manifest["chunk_bytes"]) == (300_000, 5, PIECE_BYTES)
        assert manifest["name"] == NAME
        wave = next(one for one in plant.heard if one[0].endswith("wave/chunk"))
        assert wave[2].ContentType == "application/octet-stream"


def test_a_restart_in_the_middle_and_a_broker_of_small_packets(tmp_path, mosquitto):
    path = evidence(tmp_path, 4_000_000)
    broker = mosquitto("allow_anonymous true\nmax_packet_size 20000")
    small = config(tmp_path, broker.port, commands=SENDING)
    with asking(broker.port) as plant, guard(tmp_path):
        with running(small):
            plant.online()
            answer = plant.ask("evidence", name=NAME)
            eventually(lambda: len(plant.chunks()) >= 20)
        pieces = Pieces(answer["upload"])
        pieces.take(plant.chunks())
        assert 0 < len(pieces.missing) < pieces.count
        assert plant.of("wave/manifest") == []
        before = len(plant.heard)
        with running(small):
            eventually(lambda: plant.of("status", before))
            eventually(lambda: plant.ask("ping")["ok"])
            assert plant.ask("evidence", upload=answer["upload"], missing=pieces.missing)["ok"]
            eventually(lambda: plant.of("wave/manifest", before), 20.0)
        pieces.take(plant.chunks(before))
        assert pieces.whole == path.read_bytes()
        assert max(map(len, plant.chunks())) < 20_000


def test_an_alert_does_not_wait_for_a_waveform(tmp_path, mosquitto):
    evidence(tmp_path, 20_000_000)
    store = Store(tmp_path / "events.db")
    port = mosquitto().port
    with asking(port) as plant, guard(tmp_path), running(config(tmp_path, port, commands=SENDING)):
        plant.online()
        assert plant.ask("evidence", name=NAME)["ok"]
        accepted = store.accept([event()])[0].id
        eventually(lambda: accepted in [one["id"] for one in plant.of("event/alarm")])
        eventually(lambda: plant.of("wave/manifest"), 20.0)
        topics = [topic.rpartition("/")[2] for topic, *_ in plant.heard]
        assert topics.index("alarm") < len(topics) - 1 - topics[::-1].index("chunk")


def test_without_leave_or_by_a_name_of_something_else_nothing_is_sent(tmp_path, mosquitto):
    evidence(tmp_path)
    (tmp_path / "secret.npz").write_bytes(b"x" * 5000)
    (tmp_path / "evidence" / "link.npz").symlink_to(tmp_path / "secret.npz")
    (tmp_path / "evidence" / "empty.npz").touch()
    port = mosquitto().port
    with asking(port) as plant, guard(tmp_path) as one:
        with running(config(tmp_path, port, commands=Commands(allow=("evidence",)))):
            plant.online()
            assert "waveforms stay on this device" in plant.ask("evidence", name=NAME)["message"]
        before = len(plant.heard)
        with running(config(tmp_path, port, commands=SENDING)):
            eventually(lambda: plant.of("status", before))
            for name in ("../secret", "link", "empty", "nothing", ".hidden", "a/b", "/etc/passwd"):
                assert not plant.ask("evidence", name=name)["ok"], name
            assert not plant.ask("evidence", event=77)["ok"]
            assert not plant.ask("evidence", upload="0" * 16, missing=[0])["ok"]
        assert plant.chunks() == []
        assert one.asked == []


def test_it_is_found_by_the_event_that_speaks_of_it_and_after_it_was_protected(tmp_path, mosquitto):
    evidence(tmp_path, 1000, end=".protected.npz")
    store = Store(tmp_path / "events.db")
    one = store.accept([msgspec.structs.replace(event(), evidence=NAME)])[0]
    port = mosquitto().port
    with asking(port) as plant, guard(tmp_path), running(config(tmp_path, port, commands=SENDING)):
        plant.online()
        assert plant.ask("evidence", event=one.id)["ok"]
        eventually(lambda: plant.of("wave/manifest"))
        assert plant.of("wave/manifest")[0]["name"] == NAME
        eventually(lambda: store.accept([event()]) and plant.ask("evidence", event=one.id)["ok"])


def test_alarms_that_share_a_file_are_found_in_it(tmp_path):
    folder = tmp_path / "evidence"
    folder.mkdir()
    with zipfile.ZipFile(folder / f"{NAME}.npz", "w") as archive:
        archive.writestr("alarm.json", json.dumps({"names": [NAME, "9500000000-de.rms"], "events": []}))
    (folder / "9100000000-broken.npz").write_bytes(b"PK\x03\x04 no archive")
    waveforms = Waveforms(folder)
    assert waveforms.named("9500000000-de.rms", 1 << 20).name == NAME
    with pytest.raises(Unfit, match="no evidence"):
        waveforms.named("9600000000-de.rms", 1 << 20)


def test_an_upload_is_of_one_file_and_one_size_of_pieces(tmp_path):
    path = evidence(tmp_path)
    waveforms = Waveforms(path.parent)
    upload = waveforms.named(NAME, 1 << 20)
    assert waveforms.resumed(upload.id, (4,), 1 << 20) == upload
    with pytest.raises(Unfit, match="no chunk 5"):
        waveforms.resumed(upload.id, (5,), 1 << 20)
    with pytest.raises(Unfit, match="takes other sizes"):
        waveforms.resumed(upload.id, (0,), 10_000)
    with pytest.raises(Unfit, match="raise its limit"):
        waveforms.named(NAME, 500)
    protected = path.with_name(f"{NAME}.protected.npz")
    path.rename(protected)
    assert waveforms.resumed(upload.id, (0,), 1 << 20).path == protected
    os.utime(protected, ns=(1, 1))
    with pytest.raises(Unfit, match="the file is gone"):
        waveforms.resumed(upload.id, (0,), 1 << 20)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 400)
)
def test_a_damaged_file_is_passed_over(changes, length):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{NAME}.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("alarm.json", json.dumps({"names": [NAME, "9500000000-de.rms"]}))
        data = bytearray(path.read_bytes())
        for at, value in changes:
            data[at % len(data)] = value
        path.write_bytes(data[: max(1, length)])
        with contextlib.suppress(Unfit):
            assert Waveforms(Path(folder)).named("9500000000-de.rms", 1 << 20).path == path
