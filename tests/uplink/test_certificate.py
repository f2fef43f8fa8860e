"""Our reading of certificates against openssl's."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from plant_ca import Authority, openssl

from appliance.errors import ApplianceError
from appliance.uplink import certificate


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.mark.parametrize("days", [-1, 90, 20_000])
def test_name_and_days_are_those_that_openssl_reads(ca, days):
    path, _ = ca.issue("pump-7", days=days)
    lines = openssl("x509", "-in", path, "-noout", "-startdate", "-enddate", "-subject").splitlines()
    found = certificate.read(path)
    read = [datetime.strptime(line.partition("=")[2], "%b %d %H:%M:%S %Y %Z") for line in lines[:2]]  # noqa: DTZ007
    assert [found.first, found.last] == [day.replace(tzinfo=UTC) for day in read]
    assert lines[2].endswith(found.name)
    assert found.name == "pump-7"


def test_other_words_in_the_name_and_a_long_key_do_no_harm(tmp_path):
    path = tmp_path / "rsa.pem"
    made = ("-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "rsa.key", "-out", path)
    openssl("req", "-x509", *made, "-subj", "/C=AT/O=Works, Inc/CN=dash-1/emailAddress=a@b.example")
    assert certificate.read(path).name == "dash-1"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, 10_000), change=st.integers(0, 10_000))
@example(cut=0, change=0)
def test_what_is_damaged_is_read_or_refused_in_words(ca, tmp_path, cut, change):
    text = bytearray(ca.pem.read_bytes()[: cut or None])
    if text:
        text[change % len(text)] ^= 0x04
    path = tmp_path / "damaged.pem"
    path.write_bytes(text)
    with contextlib.suppress(ApplianceError):
        assert certificate.read(path).first < datetime.max.replace(tzinfo=UTC)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ApplianceError, match=r"none: No such file.*; expected a certificate in PEM"):
        certificate.read(tmp_path / "none")
