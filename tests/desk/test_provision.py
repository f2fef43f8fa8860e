"""`appliance provision` from nothing to a connection with a Mosquitto that asks for certificates."""

import stat
import tomllib
from pathlib import Path

import pytest
from plant_ca import Authority, openssl

from appliance import check
from appliance.cli import main
from appliance.desk import premises
from appliance.uplink import certificate

MACHINE_ID = Path("/etc/machine-id")

SHIPPED = Path(__file__).resolve().parents[2] / "docs" / "mosquitto"


@pytest.fixture(scope="module")
def ca(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "appliance.toml"
    path.write_text("state_dir = 'state'\nrun_dir = 'run'\n[machine]\ndevice = 'press-7'\n")
    return path


@pytest.fixture
def identity(tmp_path) -> Path:
    return tmp_path / "state" / "identity"


def provision(*arguments: object) -> int:
    return main(["provision", *map(str, arguments)])


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert provision(*arguments) != 0
    return capsys.readouterr().err


def test_the_key_is_made_once_and_for_this_user_only(config, identity, capsys):
    assert provision(config) == 0
    key, request = identity / "uplink.key", identity / "uplink.csr"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (key, request)} == {0o600}
    assert stat.S_IMODE(identity.stat().st_mode) == 0o700
    assert "P-256" in openssl("pkey", "-in", key, "-noout", "-text")
    assert openssl("req", "-in", request, "-noout", "-subject", "-verify").strip().endswith("press-7")
    assert f"{request}" in capsys.readouterr().out
    before = key.read_bytes()
    assert provision(config) == 0
    assert key.read_bytes() == before
    assert "as it was" in capsys.readouterr().out
    assert sorted(path.name for path in identity.iterdir()) == ["uplink.csr", "uplink.key"]


@pytest.mark.skipif(
    not MACHINE_ID.exists() or not MACHINE_ID.stat().st_size, reason="this machine has no /etc/machine-id"
)
def test_without_a_name_in_the_file_the_hardware_gives_one(config, identity, capsys):
    config.write_text("state_dir = 'state'\nrun_dir = 'run'\n")
    assert provision(config) == 0
    name = capsys.readouterr().out.split()[1]
    assert name.startswith(("pi-", "sn-", "mid-"))
    assert openssl("req", "-in", identity / "uplink.csr", "-noout", "-subject").strip().endswith(name)


def test_from_nothing_to_a_connection(config, identity, ca, mosquitto, capsys):
    broker_pem, broker_key = ca.issue("broker", server="DNS:localhost")
    settings = f"cafile {ca.pem}\ncertfile {broker_pem}\nkeyfile {broker_key}\nrequire_certificate true\n"
    broker = mosquitto(f"{settings}use_identity_as_username true\nacl_file {SHIPPED / 'appliance.acl'}")
    assert provision(config) == 0
    signed = ca.sign(identity / "uplink.csr")
    capsys.readouterr()
    url = f"mqtts://localhost:{broker.port}"
    assert provision(config, "--certificate", signed, "--ca", ca.pem, "--broker", url) == 0
    lines = capsys.readouterr().out
    assert tomllib.loads(lines)["machine"]["device"] == "press-7"
    config.write_text("state_dir = 'state'\nrun_dir = 'run'\n" + lines)
    assert certificate.read(check.load(config).uplink.tls.cert_file).name == "press-7"
    assert premises.broker(check.load(config)).words == f"localhost:{broker.port} took the connection, MQTT 5"
    assert provision(config) == 0, "a renewal begins on a configuration that has the lines already"


def test_a_certificate_that_is_not_ours_is_not_taken(config, identity, ca, tmp_path, capsys):
    stranger = Authority(tmp_path / "stranger", "stranger")
    other, _ = ca.issue("press-8")
    twin, _ = ca.issue("press-7")
    assert "run without --certificate" in refusal(capsys, config, "--certificate", other, "--ca", ca.pem)
    assert provision(config) == 0
    request = identity / "uplink.csr"
    for signed, authority, words in (
        (other, ca, "made for 'press-8'; expected 'press-7' (machine.device)"),
        (twin, ca, "not the key of the certificate"),
        (ca.sign(request, days=-1), ca, "have it renewed, or set the clock"),
        (stranger.sign(request), ca, "openssl verify refused"),
        (request, ca, "no certificate; expected one in PEM"),
        (tmp_path / "none", ca, "No such file"),
    ):
        assert words in refusal(capsys, config, "--certificate", signed, "--ca", authority.pem)
    server = stranger.sign(request, server="IP:127.0.0.1")
    assert "openssl verify refused" in refusal(capsys, config, "--certificate", server, "--ca", stranger.pem)
    assert not (identity / "ca.pem").exists()


@pytest.mark.parametrize(
    "url", ["broker:8883", "mqtt://broker", "mqtts://", "mqtts://b:0", "mqtts://b:99999", "http://b"]
)
def test_a_broker_must_be_named_as_a_url_with_tls(config, url, capsys):
    assert "expected mqtts://HOST" in refusal(capsys, config, "--broker", url)


def test_certificate_and_authority_come_together(config, ca, capsys):
    assert "add the other" in refusal(capsys, config, "--ca", ca.pem)


def test_without_openssl_it_says_what_to_install(config, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "apt install openssl" in refusal(capsys, config)
