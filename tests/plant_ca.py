"""A certificate authority of a plant, with openssl, for the tests that need certificates."""

import subprocess
from datetime import UTC, datetime, timedelta
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
        openssl("x509", "-req", "-in", request, "-out", certificate, *_for(days), *by)
        return certificate


def _for(days: int) -> tuple[object, ...]:
    """Options for a certificate that ends so many days from now; openssl 3.5 must be asked for a past one."""
    if days >= 0 or "-not_before" not in openssl("x509", "-help"):
        return ("-days", days)
    ends = datetime.now(UTC) + timedelta(days=days)
    first, last = (f"{day:%Y%m%d%H%M%SZ}" for day in (ends - timedelta(days=90), ends))
    return ("-not_before", first, "-not_after", last)


def openssl(*arguments: object) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + (done.stderr if "-help" in arguments else "")
