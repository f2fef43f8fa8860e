"""Board profiles: every shipped one is sound, and a relay cannot be put on a pin that would energise it."""

import pytest

from hw.board import BoardError, load, names, this_board
from hw.gpio_lines import Line

PIS = ("pi3", "pi4", "pi5", "zero2w")


def pi_line(name: str, offset: int, *, active_low: bool = False) -> Line:
    return Line(load(name).chips[0].label, offset, active_low)


def test_the_boards():
    assert names() == ("coral-dev-board", "pi3", "pi4", "pi5", "zero2w")


@pytest.mark.parametrize("name", names())
def test_a_profile_names_buses_ports_and_a_pin_for_the_relay(name):
    board = load(name)
    assert board.i2c
    assert board.serial
    assert all(port.path.startswith("/dev/") for port in (*board.i2c, *board.serial))
    for chip in board.chips:
        for offset in chip.pulled_down:
            board.check_relay(Line(chip.label, offset))


@pytest.mark.parametrize("name", PIS)
def test_on_a_pi_gpio_0_to_8_are_refused(name):
    for offset in range(9):
        with pytest.raises(BoardError, match="use one of pinctrl-"):
            load(name).check_relay(pi_line(name, offset))


@pytest.mark.parametrize("name", PIS)
def test_a_pulled_up_pin_needs_the_owners_word(name):
    board = load(name)
    for offset in range(4, 9):
        board.check_relay(pi_line(name, offset), "external pull-down fitted")
        with pytest.raises(BoardError, match="pulled up at reset, which energises the relay at every boot"):
            board.check_relay(pi_line(name, offset), "yes")


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 14])
def test_some_pins_no_resistor_can_save(offset):
    for word in ("", "external pull-down fitted"):
        with pytest.raises(BoardError, match=f"line {offset}: .*; use one of"):
            load("pi4").check_relay(pi_line("pi4", offset), word)


def test_an_active_low_relay_is_the_other_way_round():
    board = load("pi4")
    board.check_relay(pi_line("pi4", 5, active_low=True))
    with pytest.raises(BoardError, match='write external_pull = "external pull-up fitted"'):
        board.check_relay(pi_line("pi4", 17, active_low=True))
    board.check_relay(pi_line("pi4", 17, active_low=True), "external pull-up fitted")


def test_a_line_beyond_the_header_and_another_chip():
    with pytest.raises(BoardError, match="line 42 is not on the header"):
        load("pi4").check_relay(pi_line("pi4", 42))
    with pytest.raises(BoardError, match="'pinctrl-bcm2835' has no relay pins, expected pinctrl-bcm2711"):
        load("pi4").check_relay(pi_line("pi3", 17))


@pytest.mark.parametrize("name", names())
def test_a_contact_may_have_any_free_line_of_the_header(name):
    board = load(name)
    for chip in board.chips:
        for offset in chip.pulled_down | chip.pulled_up:
            board.check_input(Line(chip.label, offset))
        for offset in (*chip.refused, 99):
            with pytest.raises(
                BoardError, match=f"{chip.label} line {offset}.*; use one of {board.chips[0].label} "
            ):
                board.check_input(Line(chip.label, offset))
    with pytest.raises(BoardError, match="'elsewhere' has no input pins"):
        board.check_input(Line("elsewhere", 5))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4\0", "pi4"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3\0", "pi3"),
        ("Raspberry Pi Zero 2 W Rev 1.0\0", "zero2w"),
        ("Raspberry Pi 5 Model B Rev 1.0\0", "pi5"),
        ("Freescale i.MX8MQ Phanbell\0", "coral-dev-board"),
        ("Raspberry Pi Model B Rev 2\0", None),
        ("Some Other Board\0", None),
    ],
)
def test_the_board_is_known_by_its_model(tmp_path, model, name):
    (tmp_path / "model").write_text(model)
    assert this_board(tmp_path / "model") == name


def test_a_desktop_has_no_model(tmp_path):
    assert this_board(tmp_path / "model") is None


def test_whether_the_kernel_holds_a_released_line(tmp_path):
    board = load("pi4")
    assert board.keeps_released_lines(tmp_path) is False
    parameter = tmp_path / board.held_by.lstrip("/")
    parameter.parent.mkdir(parents=True)
    for word, holds in (("Y\n", True), ("N\n", False)):
        parameter.write_text(word)
        assert board.keeps_released_lines(tmp_path) is holds
    assert load("coral-dev-board").keeps_released_lines(tmp_path) is False


def test_an_unknown_board_is_told_the_known_ones():
    with pytest.raises(BoardError, match="'pi9' is not a board; one of coral-dev-board, pi3"):
        load("pi9")


GOOD = """
name = "B"
models = ["B"]
settings = []
i2c = []
serial = []
[[chip]]
label = "c"
pulled_down = [1]
pulled_up = [2]
[chip.refused]
3 = "UART"
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "B"', "", "name is missing"),
        ('name = "B"', "name = 3", "name: 3, expected a string"),
        ('models = ["B"]', "models = []", "models or chip empty"),
        ('models = ["B"]', "models = [1]", "expected a list of strings"),
        (
            "pulled_down = [1]",
            'pulled_down = ["1"]',
            r"chip\[0\]: pulled_down: \['1'\], expected a list of line",
        ),
        ("pulled_down = [1]", "pulled_down = [-1]", "expected a list of line numbers"),
        ("pulled_down = [1]", "pulled_down = [true]", "expected a list of line numbers"),
        ("pulled_down = [1]", "pulled_down = [1, 2]", r"\[2\] listed twice"),
        ("pulled_down = [1]", "pulled_down = [3]", r"\[3\] listed twice"),
        ('3 = "UART"', 'x = "UART"', "refused: .*, expected line ="),
        ("i2c = []", "i2c = [3]", r"expected \[\[i2c\]\] tables"),
        ("i2c = []", "i2c = [{path = '/dev/i2c-1'}]", r"i2c\[0\]: pins is missing"),
        ("settings = []", "settings = []\nspeed = 3", "speed: not a key of a profile"),
        ('label = "c"', "label = ", "not TOML"),
    ],
)
def test_a_wrong_profile_is_named_with_its_place(tmp_path, old, new, said):
    (tmp_path / "b.toml").write_text(GOOD)
    load("b", tmp_path)
    assert old in GOOD
    (tmp_path / "b.toml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(BoardError, match=said):
        load("b", tmp_path)
