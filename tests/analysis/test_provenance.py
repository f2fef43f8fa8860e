import os
import stat
import threading
from base64 import b64encode
from dataclasses import replace

import pytest

from appliance.analysis import bundle as bundles
from appliance.analysis import ledger, provenance, signature, slots
from appliance.analysis.ledger import Seen
from appliance.errors import BundleError

MACHINE, NOW = "works/hall/pump/de", "2026-11-21T12:00:00Z"
KEY, STRANGER = bytes(range(32)), bytes(range(1, 33))


def admit(bundle, trusted=KEY, seen=None, now=NOW, machine=MACHINE):
    keys = {signature.public_key(trusted)}
    provenance.admit(bundle, machine=machine, trusted=keys, seen=seen or {}, now=now)


@pytest.fixture
def signed(made):
    return provenance.issue(made, KEY, serial=7, machine=MACHINE, not_after="2026-12-31T00:00:00Z")


def test_a_signed_bundle_is_sound_and_admitted(signed, tmp_path):
    slots.save(signed, tmp_path / "b")
    loaded = bundles.load(tmp_path / "b")
    assert loaded.files == signed.files
    assert loaded.manifest.origin.signer == signature.public_key(KEY)
    admit(loaded)
    admit(provenance.issue(loaded, KEY, serial=8))  # for any machine, for ever


def test_signing_says_another_bundle_of_the_same_model(made, signed):
    assert signed.id != made.id
    assert signed.manifest.model == made.manifest.model
    assert provenance.issue(made, KEY, serial=7).files == provenance.issue(signed, KEY, serial=7).files


def test_unsigned_is_refused(made, signed):
    with pytest.raises(BundleError, match="found no signature"):
        admit(made)
    bare = {name: data for name, data in signed.files.items() if name != bundles.SIGNATURE}
    with pytest.raises(BundleError, match="found no signature"):
        admit(replace(signed, files=bare))


@pytest.mark.parametrize("proof", [b"", b"not base64!", b64encode(bytes(64)), b64encode(bytes(63))])
def test_a_made_up_signature_is_forged(signed, proof):
    with pytest.raises(BundleError, match="forged"):
        admit(replace(signed, files=signed.files | {bundles.SIGNATURE: proof}))


def test_any_change_under_an_old_signature_is_forged(signed, tmp_path):
    """A threshold raised by hand, with hashes made right again: sound in itself, and not what was signed."""
    slots.save(signed, tmp_path / "b")
    manifest = signed.files[bundles.MANIFEST].replace(b"serial = 7", b"serial = 9")
    files = signed.files | {bundles.MANIFEST: manifest}
    files[bundles.SUMS] = bundles.sums({name: files[name] for name in bundles.SUMMED})
    forged = bundles.verified(files)
    assert forged.manifest.origin.serial == 9
    with pytest.raises(BundleError, match="forged"):
        admit(forged)


def test_another_signers_name_on_ones_own_signature_is_forged(made, signed):
    theirs = provenance.issue(made, STRANGER, serial=7, machine=MACHINE)
    with pytest.raises(BundleError, match="forged"):
        admit(replace(signed, files=signed.files | {bundles.SIGNATURE: theirs.files[bundles.SIGNATURE]}))


def test_a_stranger_is_refused_until_trusted(made):
    theirs = provenance.issue(made, STRANGER, serial=1)
    with pytest.raises(BundleError, match=r"found the signer .* add the key there"):
        admit(theirs)
    admit(theirs, trusted=STRANGER)


def test_the_wrong_machine_and_an_expired_bundle_are_refused(signed):
    with pytest.raises(
        BundleError, match="wrong machine: found works/hall/pump/de, expected works/hall/fan/de"
    ):
        admit(signed, machine="works/hall/fan/de")
    admit(signed, now="2026-12-31T00:00:00Z")
    with pytest.raises(
        BundleError, match="expired: found 2026-12-31T00:00:01Z, expected 2026-12-31T00:00:00Z"
    ):
        admit(signed, now="2026-12-31T00:00:01Z")


def test_an_older_serial_of_the_same_signer_is_a_replay(signed):
    signer = signature.public_key(KEY)
    for newest in (Seen(8, "x"), Seen(7, "another with the same serial")):
        with pytest.raises(
            BundleError, match=f"replayed: found serial 7, expected more than {newest.serial}"
        ):
            admit(signed, seen={signer: newest})
    admit(signed, seen={signer: Seen(7, signed.id)})  # the very same once more
    admit(signed, seen={signer: Seen(6, "x"), signature.public_key(STRANGER): Seen(99, "y")})
    assert ledger.next_serial(signer, {signer: Seen(7, "x")}) == 8
    assert ledger.next_serial(signer, {}) == 1


def test_the_own_key_is_made_once_and_for_its_owner_only(tmp_path):
    path, found = tmp_path / "state" / "device.key", []
    threads = [threading.Thread(target=lambda: found.append(signature.own_key(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert found[0] == signature.own_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["device.key"]


def test_a_damaged_key_is_named_and_not_replaced(tmp_path):
    (tmp_path / "device.key").write_text("junk\n")
    with pytest.raises(BundleError, match=r"device\.key: found 4 characters"):
        signature.own_key(tmp_path / "device.key")
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot be made or read"):
        signature.own_key(tmp_path / "file" / "device.key")


def test_a_trusted_key_is_itself_or_its_file(tmp_path):
    key = signature.public_key(KEY)
    assert signature.trusted_key(key) == key
    (tmp_path / "vendor.pub").write_text(key + "\n")
    assert signature.trusted_key(str(tmp_path / "vendor.pub")) == key
    with pytest.raises(BundleError, match=r"models\.trusted: .*nowhere: cannot be read"):
        signature.trusted_key(str(tmp_path / "nowhere"))
    (tmp_path / "vendor.pub").write_bytes(os.urandom(20))
    with pytest.raises(BundleError, match="expected a public key"):
        signature.trusted_key(str(tmp_path / "vendor.pub"))


def test_what_rfc_8032_says():
    """Test 2 of section 7.1."""
    key = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    proof = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert signature.sign(b"\x72", key) == b64encode(proof) + b"\n"
    assert signature.is_by(b"\x72", b64encode(proof), signature.public_key(key))
    assert not signature.is_by(b"\x73", b64encode(proof), signature.public_key(key))
