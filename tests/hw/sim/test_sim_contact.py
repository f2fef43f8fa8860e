"""A simulated contact: a file is a closed one; where that cannot be known, nothing is made up."""

from pathlib import Path

import pytest

from hw.ports import Input, PortError
from hw.sim.contact import SimContact


def test_it_follows_the_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    contact: Input = SimContact(file)
    for closed in (False, True, True, False):
        file.touch() if closed else file.unlink(missing_ok=True)
        assert contact.read() is closed


def test_a_path_that_leads_nowhere_is_no_open_contact(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.symlink_to(file)
    with pytest.raises(PortError, match=r"key: .*; expected a file or none; mend the path"):
        SimContact(file).read()
    below = tmp_path / "a-file" / "key"
    below.parent.touch()
    with pytest.raises(PortError):
        SimContact(below).read()
