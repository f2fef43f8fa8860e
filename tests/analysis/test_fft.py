"""Both ways to scipy's transforms give the same bits, and the direct one leaves scipy.fft unimported."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from appliance.analysis import fft

X = np.random.default_rng(5).normal(size=(3, 1000)).astype(np.float32)
FILE = fft.extension_file()


def test_the_installed_scipy_keeps_it_where_we_look():
    assert FILE is not None, "a newer scipy? 30 MB more in every process until fft.py knows the place"


@pytest.mark.skipif(FILE is None, reason="this scipy keeps its pocketfft elsewhere; the public way is in use")
def test_direct_and_public_agree_to_the_bit():
    direct, public = fft.direct(FILE), fft.public()
    assert (direct.origin, public.origin) == (FILE.name.partition(".")[0], "scipy.fft")
    for x in (X, X[:, :999], X[:1, :5], X[0]):
        spectrum = direct.rfft(x)
        assert spectrum.dtype == np.complex64
        assert np.array_equal(spectrum, public.rfft(x))
        assert np.array_equal(direct.ifft(spectrum), public.ifft(spectrum))
        back = direct.irfft(spectrum, x.shape[-1])
        assert back.dtype == np.float32
        assert np.array_equal(back, public.irfft(spectrum, x.shape[-1]))


def test_transforms_are_right():
    wide = X.astype(np.float64)
    assert np.allclose(fft.rfft(X), np.fft.rfft(wide), atol=1e-3)
    assert np.allclose(fft.irfft(fft.rfft(X), 1000), X, atol=1e-5)
    z = fft.rfft(X)
    assert np.allclose(fft.ifft(z), np.fft.ifft(np.fft.rfft(wide)), atol=1e-5)


@pytest.mark.skipif(FILE is None, reason="this scipy keeps its pocketfft elsewhere; the public way is in use")
def test_features_import_neither_scipy_fft_nor_scipy_signal():
    program = (
        "import sys, appliance.analysis.features, appliance.analysis.window\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'scipy'])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("content", [b"", b"not an extension module"])
def test_a_broken_extension_is_refused_and_the_public_one_used(tmp_path, monkeypatch, content):
    broken = tmp_path / "pypocketfft.so"
    broken.write_bytes(content)
    with pytest.raises(ImportError):
        fft.direct(broken)
    monkeypatch.setattr(fft, "extension_file", lambda: broken)
    assert fft.load().origin == "scipy.fft"


def test_an_extension_with_another_interface_is_refused(tmp_path):
    for body in ("", "def r2c(*a): raise TypeError('new signature')", "def r2c(x, *a): return x"):
        other = tmp_path / "pypocketfft.py"
        other.write_text(body)
        with pytest.raises(ImportError, match="not the transforms this program knows"):
            fft.direct(other)


def test_no_scipy_no_extension(monkeypatch):
    monkeypatch.setattr(fft.importlib.util, "find_spec", lambda _name: None)
    assert fft.extension_file() is None
    assert fft.load().origin == "scipy.fft"


@pytest.mark.parametrize(
    ("at_least", "length"), [(0, 1), (1, 1), (7, 8), (11, 12), (17, 18), (1844, 1875), (2048, 2048)]
)
def test_fast_length(at_least, length):
    assert fft.fast_length(at_least) == length
