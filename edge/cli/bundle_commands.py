"""`trackside bundle`: what is in a bundle, whether it is whole and whose it is, and making one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge.line_file import LineSettings
    from edge.swap import Request

bundle = typer.Typer(
    help="Look into bundles, verify, sign, pack and change them.", no_args_is_help=True
)

BundlePath = Annotated[str, typer.Argument(metavar="BUNDLE", help="A *.bundle, `strip` or `rail`.")]
PublicKey = Annotated[
    str | None, typer.Option("--key", help="Public key of those who may have signed it.")
]

LineFile = Annotated[Path, typer.Argument(metavar="LINE.yaml", help="The line file.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Ask the line, and wait for no answer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object only.")]


@bundle.command()
def show(
    path: BundlePath,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest only.")] = False,
) -> None:
    """Print what a bundle holds, what it is good for, and where it came from."""
    from edge.bundle import open_bundle
    from edge.cli.bundle_display import show_bundle
    from edge.network import resolve_bundle

    opened = open_bundle(resolve_bundle(path))
    if as_json:
        print(opened.manifest.model_dump_json(indent=2))
    else:
        show_bundle(opened)


@bundle.command()
def verify(path: BundlePath, key: PublicKey = None) -> None:
    """Check every file, the signature, and the golden pair on each engine that is installed."""
    from edge.bundle import open_bundle
    from edge.cli.bundle_display import show_verified
    from edge.network import resolve_bundle

    opened = open_bundle(resolve_bundle(path), _checked(key))
    failed = show_verified(opened, signed=key is not None)
    sys.exit(78 if failed else 0)


@bundle.command()
def keygen(
    out: Annotated[Path, typer.Option("--out", "-o", help="The private key file to write.")],
) -> None:
    """Make a key pair: the private one goes to a file, the public one is printed."""
    from edge.bundle.signature import make_key

    print(make_key(out))


@bundle.command()
def sign(
    path: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A *.bundle.")],
    key: Annotated[Path, typer.Option(help="The private key file.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write it here and leave BUNDLE be.")
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(min=1, help="Greater than any that the key has signed before."),
    ] = None,
) -> None:
    """Sign a bundle, and print the public key to pin as `bundle_key` in the line file.

    What is signed says its version, so that a line can tell an old bundle, which was signed too.
    """
    from edge.bundle import MANIFEST, open_bundle
    from edge.bundle.signature import sign
    from edge.errors import UsageError

    opened = open_bundle(path)
    if out is None and path.is_dir():
        raise UsageError(f"{path} is a folder: name the bundle to write with --out")
    if version is not None and version != opened.manifest.version:
        opened = opened.of_version(version)
    if opened.manifest.version is None:
        raise UsageError(
            f"{path} does not say its version: give --version, a number greater than any that this "
            "key has signed before"
        )
    signature, public = sign(opened.read(MANIFEST), key)
    opened.signed_by(signature).save(out or path)
    print(public)


@bundle.command()
def pack(
    directory: Annotated[Path, typer.Argument(help="The folder of an unpacked bundle.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The bundle to write.")],
) -> None:
    """Make a bundle of a folder as it now is: hashes are taken anew, and a change unsigns it."""
    from edge.bundle import pack_directory

    packed = pack_directory(directory, out)
    print(json.dumps({"bundle": str(out), "sha256": packed.digest, "signed": packed.is_signed}))


@bundle.command()
def unpack(
    path: BundlePath,
    directory: Annotated[Path, typer.Argument(help="An empty folder, or one to be made.")],
    key: PublicKey = None,
) -> None:
    """Write a bundle's files into a folder, once they are verified."""
    from edge.bundle import open_bundle
    from edge.network import resolve_bundle

    open_bundle(resolve_bundle(path), _checked(key)).unpack(directory)


@bundle.command()
def limits(
    path: BundlePath,
    certificates: Annotated[
        list[Path], typer.Argument(help="What `trackside qualify` wrote of this bundle.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The bundle to write.")],
    counted: Annotated[
        bool,
        typer.Option(
            "--counted",
            help="Count from the size on of which half of the classes are found more often than "
            "not; else what counts stays.",
        ),
    ] = False,
) -> None:
    """Say in a bundle how small a defect is surely found, as certificates measured it."""
    from edge.bundle import open_bundle
    from edge.certificate import limits_by, read_certificate, with_limits
    from edge.network import resolve_bundle

    opened = open_bundle(resolve_bundle(path))
    found = limits_by([read_certificate(each) for each in certificates], opened, counted=counted)
    written = with_limits(opened, found, out)
    print(json.dumps({"bundle": str(out), "sha256": written.digest, "signed": False}))


@bundle.command()
def activate(
    line: LineFile,
    path: BundlePath,
    allow_older: Annotated[
        bool, typer.Option("--allow-older", help="Even if it is older than the one in force.")
    ] = False,
    accept_difference: Annotated[
        bool,
        typer.Option(
            "--accept-difference",
            help="Even if it judges other frames to be defective than the one in force: somebody "
            "has looked at those frames, and it is right. Your name goes into the ledger.",
        ),
    ] = False,
    backtest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The backtest.json that `trackside backtest` wrote of this bundle.",
        ),
    ] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Have a line take another bundle, once that has shown itself on the line's own frames.

    One that judges otherwise than the one in force is refused, and the frames in question are
    shown, side by side, in difference.html of the swap folder. If the new one is right, activate
    it again with --accept-difference. One that is slower, damaged or of another signer stays
    refused.
    """
    from edge.line_file import read_line
    from edge.network import resolve_bundle
    from edge.swap import activate, read_evidence

    config = read_line(line)
    request = activate(
        config,
        resolve_bundle(path),
        allow_older=allow_older,
        accepted_by=who() if accept_difference else None,
        backtested=None if backtest is None else read_evidence(backtest).brief(),
    )
    _await(config, request, no_wait=no_wait, as_json=as_json)


@bundle.command()
def rollback(line: LineFile, no_wait: NoWait = False, as_json: AsJson = False) -> None:
    """Have a line go back, at once, to the bundle that was in force before."""
    from edge.line_file import read_line
    from edge.swap import roll_back

    config = read_line(line)
    _await(config, roll_back(config), no_wait=no_wait, as_json=as_json)


def _await(config: LineSettings, request: Request, *, no_wait: bool, as_json: bool) -> None:
    from edge.cli.bundle_display import described, follow
    from edge.swap import answers

    decision = None if no_wait else follow(answers(config, request), quiet=as_json)
    if as_json:
        answer = {"request": request.model_dump()} if decision is None else decision.model_dump()
        print(json.dumps({"answered": decision is not None, **answer}))
    elif decision is not None:
        print(described(decision))
    elif no_wait:
        print(f"{request.name}, {request.digest[:12]}, is asked for")
    else:
        print(f"{config.name} does not run: {request.name} is tried when it starts")
    sys.exit(1 if decision is not None and decision.refusal is not None else 0)


def who() -> str:
    """The person at the command, also behind sudo."""
    import getpass
    import os
    import socket

    return f"{os.environ.get('SUDO_USER') or getpass.getuser()}@{socket.gethostname()}"


def _checked(key: str | None) -> str | None:
    """A public key as the line file would take it."""
    from pydantic import TypeAdapter, ValidationError

    from edge.errors import UsageError
    from edge.line_file import PublicKey

    if key is None:
        return None
    try:
        return TypeAdapter(PublicKey).validate_python(key)
    except ValidationError as error:
        raise UsageError(f"--key {key} is no public key: give what `keygen` printed") from error
