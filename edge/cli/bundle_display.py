"""What the terminal shows of a bundle, and of one that takes another's place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from edge.bundle import Artefact, Bundle, Found, Manifest
from edge.certificate import Certificate, certificates_of, signature_path
from edge.cli.logs import printable
from edge.engines import open_engine
from edge.errors import BundleError, EngineUnavailable
from edge.line_file import settings_for
from edge.network import check_golden
from edge.swap import Decision, Progress

FIGURES = (
    "s_measure",
    "mae",
    "mask_iou",
    "flips",
    "names",
    "names_as_fp32",
)  # `--json` and parity.json have them all


def show_bundle(bundle: Bundle) -> None:
    """Its manifest, a line for each thing one asks of it."""
    manifest, spec, limits = bundle.manifest, bundle.manifest.input, bundle.manifest.limits
    console = _console()
    console.print(f"{manifest.name}, {manifest.network}, format {manifest.format}", style="bold")
    table = Table.grid(padding=(0, 2))
    for name, value in {
        "digest": f"sha256 {bundle.digest}",
        "version": "none" if manifest.version is None else f"{manifest.version}",
        "signature": "there is one: verify it with --key" if bundle.is_signed else "none",
        "input": f"{spec.width}x{spec.height}, {spec.channels} channel(s), {spec.um_per_px:g} um",
        **_other_sizes(manifest),
        "threshold": f"{manifest.threshold:g}",
        "classes": _classes(manifest),
        "counts": f"{limits.min_area_mm2:g} mm2, {limits.min_extent_mm:g} mm and more",
        **manifest.provenance,
    }.items():
        table.add_row(name, value)
    console.print(table)
    if limits.found:
        console.print(_found(limits.found))
    for path, certificate in certificates_of(bundle):
        console.print(f"certificate  {_certified(path, certificate)}", soft_wrap=True)
    console.print(_artefacts(bundle))
    if packed := manifest.packed:
        console.print(f"packed {packed.at} on {packed.machine}")


def _found(by_class: Sequence[Found]) -> Table:
    """How small a defect is found nine times in ten, by class, a population under the other."""
    table = Table("found nine times in ten, mm of extent", "of", "a90", "a90/95")
    population = None
    for each in by_class:
        if each.population != population:
            population = each.population
            table.add_section()
            table.add_row(f"in {population}", style="dim")
        sizes = ["-" if mm is None else f"{mm:.3g}" for mm in (each.a90_mm, each.a90_95_mm)]
        table.add_row(each.of or "all", f"{each.n}", *sizes)
    return table


def _other_sizes(manifest: Manifest) -> dict[str, str]:
    sizes = [f"{each.width}x{each.height}" for each in manifest.other_sizes]
    return {"also at": ", ".join(sizes)} if sizes else {}


def _classes(manifest: Manifest) -> str:
    """What it names, what of that it only reports, and how sure it must be."""
    names = manifest.names
    if names is None:
        return f"{manifest.classes[0]}: it names nothing"
    told = ", ".join(
        f"{name} (only reported)" if name in names.report_only else name
        for name in manifest.classes
    )
    sound = "; says of a whole picture that it is sound" if names.sound else ""
    return f"{told}; unsure below {names.unsure_below:.0%}{sound}"


def _certified(path: Path, certificate: Certificate) -> str:
    """One that lies beside the bundle: what it says, of what, and whether somebody signed it."""
    told = "a90/95 is not told"
    if certificate.a90_95 is not None:
        told = f"a90/95 {certificate.a90_95:.3g} {certificate.main().unit} {certificate.measure}"
    line = "" if certificate.of is None else f", line {certificate.of.line}"
    signed = "signed" if signature_path(path).is_file() else "not signed"
    return printable(
        f"{path.name}: {told}, {certificate.n} specimens, {certificate.source}{line}, "
        f"{certificate.made[:10]}, {signed}"
    )


def _artefacts(bundle: Bundle) -> Table:
    measured = bundle.manifest.packed.infer_ms if bundle.manifest.packed else {}
    table = Table()
    table.add_column("engine", no_wrap=True)
    shown = [name for name in FIGURES if any(name in a.accuracy for a in bundle.manifest.artefacts)]
    for heading in ("kB", "ms there", *shown):
        table.add_column(heading, justify="right", no_wrap=True)
    for artefact in bundle.manifest.artefacts:
        name, accuracy = _name(artefact), artefact.accuracy
        table.add_row(
            name,
            f"{sum(len(bundle.read(file)) for file in artefact.files) / 1000:.0f}",
            f"{measured[name]:.1f}" if name in measured else "",
            *(f"{accuracy[figure]:.4f}" if figure in accuracy else "" for figure in shown),
        )
    return table


def show_verified(bundle: Bundle, *, signed: bool) -> bool:
    """A line for each check; True if an engine answered wrongly."""
    console, failed = _console(), False
    console.print(f"✓ files      {len(bundle.manifest.files)} match their sha256")
    if signed:
        console.print("✓ signature  of the key given")
    else:
        there = "not checked: give --key" if bundle.is_signed else "none"
        console.print(f"? signature  {there}")
    sizes = [(each.height, each.width) for each in bundle.manifest.other_sizes]
    for shown in (bundle, *(bundle.at(*size) for size in sizes)):
        for artefact in shown.manifest.artefacts:
            failed |= _show_proof(console, artefact, shown)
    return failed


def _show_proof(console: Console, artefact: Artefact, bundle: Bundle) -> bool:
    """Whether the engine answers the golden pair of this size; True if it does not."""
    spec = bundle.manifest.input
    name = f"{_name(artefact)} at {spec.width}x{spec.height}"
    try:
        engine = open_engine(settings_for(artefact), bundle)
        result = check_golden(bundle, engine)
    except EngineUnavailable as error:
        console.print(f"? {name}: {printable(str(error))}", soft_wrap=True)
    except BundleError as error:
        console.print(f"✗ {name}: {printable(str(error))}", soft_wrap=True)
        return True
    else:
        found = f"{result.defects} defect{'s' if result.defects > 1 else ''}"
        if result.names is not None:
            found += f", named as it must be on {result.names.same:.1%}"
        console.print(f"✓ {name}: golden pair with IoU {result.iou:.3f}, {found}")
        engine.close()
    return False


def _console() -> Console:
    """What a bundle says of itself is text, whatever brackets and colons are in it."""
    return Console(highlight=False, markup=False, emoji=False)


def _name(artefact: Artefact) -> str:
    return f"{artefact.engine} {artefact.precision}"


def follow(answers: Iterable[Progress | Decision], *, quiet: bool) -> Decision | None:
    """Show how far the line is; what it decided, or None if no line runs."""
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet,
    )
    with bar:
        task = bar.add_task("waiting", total=None)
        for answer in answers:
            if isinstance(answer, Decision):
                return answer
            total = answer.of or None
            bar.update(task, description=answer.doing, completed=answer.frames, total=total)
    return None


def described(decision: Decision) -> str:
    """A decision as a line for people."""
    request, compared = decision.request, decision.comparison
    said = "is in force" if decision.refusal is None else f"is refused: {decision.refusal}"
    line = f"{request.name}, {request.digest[:12]}, {said}"
    if compared is None:
        return line
    overlap = "no mask had anything" if compared.overlap is None else f"{compared.overlap:.2f}"
    rejects = f"rejects {compared.rejected_too} of the old one's {compared.rejected}"
    times = f"p99 {compared.new_p99_ms:.1f} ms, the old one's {compared.old_p99_ms:.1f} ms"
    return (
        f"{line}\n{compared.frames} frames: same verdict on {compared.agreement:.1%}, {rejects}, "
        f"overlap {overlap}, {times}"
    )
