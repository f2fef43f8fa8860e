"""A certificate authority of a plant, with openssl, for the tests that need certificates."""

import subprocess
from pathlib import Path

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """pem: its own certificate."""

    def __init__(self, folder: Path, name: str = "plant-ca") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.pem = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        openssl(
            "req",
            "-x509",
            *_CURVE,
            "-keyout",
            self._key,
            "-out",
            self.pem,
            "-subj",
            f"/CN={name}",
            "-days",
            90,
        )

    def issue(self, name: str, *, days: int = 90, server: str = "") -> tuple[Path, Path]:
        """A certificate and its key, made here. server: names, as `IP:127.0.0.1`; else it is a client's."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        openssl("req", "-new", *_CURVE, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        return self.sign(request, days=days, server=server), key

    def sign(self, request: Path, *, days: int = 90, server: str = "") -> Path:
        certificate = self.folder / f"{request.stem}.pem"
        usage = certificate.with_suffix(".ext")
        name = f"subjectAltName={server}\n" if server else ""
        usage.write_text(f"extendedKeyUsage={'serverAuth' if server else 'clientAuth'}\n{name}")
        by = ("-CA", self.pem, "-CAkey", self._key, "-CAcreateserial", "-extfile", usage)
        openssl("x509", "-req", "-in", request, "-out", certificate, "-days", days, *by)
        return certificate


def openssl(*arguments: object) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
