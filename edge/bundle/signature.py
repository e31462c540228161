"""Who made a bundle or a certificate: ed25519 signatures, and the keys for them."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from edge.errors import BundleError, UsageError

PREFIX = "ed25519:"
# These words are signed together with the content. The owner may use the key elsewhere too: a
# signature made there is not one of a bundle, nor one of a bundle one of a certificate.
_CONTEXT = b"trackside bundle manifest\n"
_CERTIFICATE = b"trackside certificate\n"


def make_key(path: Path) -> str:
    """Write a new private key that only its owner can read, and return its public key."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(f"{path} exists, and may be a key in use: name another file") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return _text(private.public_key())


def sign(manifest: bytes, key: Path) -> tuple[bytes, str]:
    """The signature of a manifest by a private key file, and the public key that verifies it."""
    return _sign(_CONTEXT + manifest, key)


def sign_certificate(content: bytes, key: Path) -> tuple[bytes, str]:
    """The same of a certificate's bytes."""
    return _sign(_CERTIFICATE + content, key)


def verify(manifest: bytes, signature: bytes | None, public_key: str, bundle: Path) -> None:
    """Refuse a manifest that the key's owner did not sign."""
    if signature is None:
        raise BundleError(
            f"{bundle} is not signed, and a key is pinned: sign it with `trackside bundle sign`, "
            "or take one that is from its source"
        )
    _verify(_CONTEXT + manifest, signature, public_key, bundle)


def verify_certificate(
    content: bytes, signature: bytes | None, public_key: str, certificate: Path
) -> None:
    """Refuse a certificate that the key's owner did not sign."""
    if signature is None:
        raise BundleError(
            f"{certificate} is not signed, and a key is pinned: make it with "
            "`trackside qualify --key`, or put its .sig beside it"
        )
    _verify(_CERTIFICATE + content, signature, public_key, certificate)


def _sign(content: bytes, key: Path) -> tuple[bytes, str]:
    try:
        private = load_pem_private_key(key.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{key} is no private key without a password: make one with `trackside bundle keygen`"
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(f"{key} is no ed25519 key: make one with `trackside bundle keygen`")
    return private.sign(content), _text(private.public_key())


def _verify(content: bytes, signature: bytes, public_key: str, path: Path) -> None:
    key = Ed25519PublicKey.from_public_bytes(b64decode(public_key.removeprefix(PREFIX)))
    try:
        key.verify(signature, content)
    except InvalidSignature as error:
        raise BundleError(
            f"{path}: its signature is not of the pinned key {public_key}: do not trust it, take "
            "it from its source again, or pin the key of those who signed it"
        ) from error


def _text(key: Ed25519PublicKey) -> str:
    return PREFIX + b64encode(key.public_bytes_raw()).decode()
