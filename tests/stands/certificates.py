"""Certificates that a test makes for itself, each its own authority."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """NAME.pem and NAME.key, for 127.0.0.1."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(chain)]
    subprocess.run(
        ["openssl", "req", "-x509", *options, *subject, *files], check=True, capture_output=True
    )
    return chain, key
