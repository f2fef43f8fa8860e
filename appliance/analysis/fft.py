"""Fast Fourier transforms in single precision: scipy's own without the weight of `import scipy.fft`.

The public import costs 0.17 s and 30 MB of resident memory on top of numpy; its extension module alone, as
here, 6 ms and 3 MB (x86-64, Python 3.11, numpy 2.4, scipy 1.17). The extension is private to scipy, so it is
probed before it is trusted; where the probe fails the public package takes its place.
"""

import importlib.util
import itertools
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_EXTENSIONS = ("_pocketfft/pypocketfft", "_duccfft/pyduccfft")
"""Where scipy keeps it up to 1.17, and from 1.18 on; both are called alike."""

F32 = NDArray[np.float32]
C64 = NDArray[np.complex64]


class Transforms(NamedTuple):
    """The three transforms along the last axis; origin: the name of the extension, or "scipy.fft"."""

    rfft: Callable[[F32], C64]
    irfft: Callable[[C64, int], F32]
    ifft: Callable[[C64], C64]
    origin: str


def extension_file() -> Path | None:
    """The extension module inside the installed scipy, found without executing scipy, or None."""
    spec = importlib.util.find_spec("scipy")
    folders = spec.submodule_search_locations if spec else None
    places = itertools.product(folders or (), _EXTENSIONS, EXTENSION_SUFFIXES)
    files = (Path(folder, "fft", name + suffix) for folder, name, suffix in places)
    return next((file for file in files if file.is_file()), None)


def direct(file: Path) -> Transforms:
    """Transforms of the extension module in `file`. Raises ImportError if it is not the one we know."""
    name = file.name.partition(".")[0]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file}: not an extension module this Python can load")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    transforms = _of_extension(module, name)
    try:
        _probe(transforms)
    except (AttributeError, TypeError, ValueError) as fault:
        raise ImportError(f"{file}: not the transforms this program knows ({fault})") from fault
    return transforms


def public() -> Transforms:
    """Transforms of the public scipy.fft: the same results, the full import."""
    import scipy.fft  # noqa: PLC0415 - the import is what the direct way avoids

    return Transforms(
        rfft=lambda x: scipy.fft.rfft(x, axis=-1),
        irfft=lambda z, n: scipy.fft.irfft(z, n, axis=-1),
        ifft=lambda z: scipy.fft.ifft(z, axis=-1),
        origin="scipy.fft",
    )


def load() -> Transforms:
    """The direct transforms, else the public ones."""
    file = extension_file()
    if file is not None:
        try:
            return direct(file)
        except ImportError:
            pass  # another scipy: its public interface is the contract
    return public()


def _of_extension(module: ModuleType, origin: str) -> Transforms:
    own: Any = module
    # r2c(array, axes, forward, norm, out, threads): norm 0 = none, 2 = 1/n, as scipy calls them.
    return Transforms(
        rfft=lambda x: own.r2c(x, (x.ndim - 1,), True, 0, None, 1),
        irfft=lambda z, n: own.c2r(z, (z.ndim - 1,), n, False, 2, None, 1),
        ifft=lambda z: own.c2c(z, (z.ndim - 1,), False, 2, None, 1),
        origin=origin,
    )


def _probe(transforms: Transforms) -> None:
    """Raise ValueError unless a short transform and both ways back come out right."""
    x = np.array([[3, -1, 4, -1, 5], [9, -2, 6, 5, -3]], dtype=np.float32)
    spectrum = transforms.rfft(x)
    there = bool(np.allclose(spectrum, np.fft.rfft(x), atol=1e-4)) and spectrum.dtype == np.complex64
    back = np.allclose(transforms.irfft(spectrum, 5), x, atol=1e-5)
    inverse = np.allclose(transforms.ifft(spectrum), np.fft.ifft(spectrum), atol=1e-5)
    if not (there and back and inverse):
        raise ValueError("a known transform came out wrong")


_LOADED = load()


def rfft(x: F32) -> C64:
    """Spectrum of real rows, shape (..., n) -> (..., n // 2 + 1), unscaled."""
    return _LOADED.rfft(x)


def irfft(spectrum: C64, n: int) -> F32:
    """Inverse of `rfft`, shape (..., n // 2 + 1) -> (..., n), scaled by 1/n."""
    return _LOADED.irfft(spectrum, n)


def ifft(spectrum: C64) -> C64:
    """Inverse complex transform of rows, shape (..., m) -> (..., m), scaled by 1/m."""
    return _LOADED.ifft(spectrum)


def fast_length(at_least: int) -> int:
    """Smallest length >= `at_least` whose only prime factors are 2, 3 and 5: it transforms fast."""
    length = max(1, at_least)
    while _rough_part(length) != 1:
        length += 1
    return length


def _rough_part(length: int) -> int:
    for prime in (2, 3, 5):
        while length % prime == 0:
            length //= prime
    return length
