"""``tapdeck verify`` and ``tapdeck evidence``: whether recordings are what they were, and what shows it to others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from firmware.clock import iso_utc, now_ms
from firmware.config import Home
from firmware.errors import BadInput

if TYPE_CHECKING:
    from recorder.library.verification.everything import Summary
    from recorder.library.verification.findings import Finding

Lang = Literal["en", "zh"]
_SUMMARY = {
    "en": "{manifests} manifests, {mib} MiB of audio: {errors} errors, {warnings} warnings",
    "zh": "清单 {manifests} 份,音频 {mib} MiB:错误 {errors},警告 {warnings}",
}
_NOTES_SHOWN = 20


@click.command("verify")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH...]")
@click.option("--all", "everything", is_flag=True, help="The whole box: logs, manifests, audio, store, tags, anchors.")
@click.option("--fast", is_flag=True, help="With --all: sizes instead of hashes.")
@click.option(
    "--key", "keys", multiple=True, help="Devices that may have signed; else this box.  [fingerprint or file]"
)
@click.option(
    "--anchor", "anchors", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An anchor kept outside the box.",
)  # fmt: skip
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def verify_command(
    context: click.Context, paths: tuple[Path, ...], everything: bool, fast: bool, keys: tuple[str, ...],
    anchors: tuple[Path, ...], lang: Lang, as_json: bool,
) -> None:  # fmt: skip
    """Verify recordings, or the whole box with --all.

    Exit code 0: authentic; 1: not; 2: cannot be checked.
    """
    if everything == bool(paths):
        raise click.UsageError("name recordings or folders, or say --all")
    home: Home = context.obj
    if everything:
        context.exit(_verify_all(home, fast, keys, anchors, lang, as_json))
    from recorder.library.evidence.earlier import earlier_devices
    from recorder.library.verification.everything import devices_of
    from recorder.library.verification.verifier.tapdeck_verify import main

    own = tuple(devices_of(home).values())
    devices = keys or (*own, *(one.device for one in earlier_devices(home, own)))
    options = [*(f"--key={one}" for one in devices), *(f"--anchor={one}" for one in anchors), f"--lang={lang}"]
    context.exit(main([*options, *(["--json"] if as_json else []), "--", *map(str, paths)]))


def _verify_all(
    home: Home, fast: bool, keys: tuple[str, ...], anchors: tuple[Path, ...], lang: Lang, as_json: bool
) -> int:
    from recorder.library.verification.everything import Summary, verify_box
    from recorder.library.verification.verifier.tapdeck_verify import Malformed, read_device

    try:
        devices = [read_device(one)[:32] for one in keys]
    except (Malformed, ValueError) as error:
        raise BadInput(f"--key: {error}") from error
    summary = Summary()
    shows_progress = sys.stderr.isatty() and not as_json
    notes = 0

    def progress(state: Summary) -> None:
        if shows_progress and state.manifests % 50 == 0:
            click.echo(f"\r{_words(state, lang)}", nl=False, err=True)

    for finding in verify_box(home, summary, fast=fast, devices=devices, anchors=anchors, progress=progress):
        notes += finding.severity == "note"
        if as_json:
            click.echo(msgspec.json.encode(_as_dict(finding)).decode())
        elif finding.severity != "note" or notes <= _NOTES_SHOWN:
            click.echo(f"{finding.severity}: {finding.text(lang)}")
    if as_json:
        click.echo(msgspec.json.encode({"summary": summary}).decode())
    else:
        click.echo(("\r" if shows_progress else "") + _words(summary, lang))
    return 1 if summary.errors else 0


def _as_dict(finding: Finding) -> dict[str, object]:
    text = {lang: finding.text(lang) for lang in ("en", "zh")}
    return {"severity": finding.severity, **msgspec.to_builtins(finding), "text": text}


def _words(summary: Summary, lang: Lang) -> str:
    return _SUMMARY[lang].format(
        manifests=summary.manifests, mib=summary.audio_bytes >> 20, errors=summary.errors, warnings=summary.warnings
    )


@click.group("evidence")
def evidence_group() -> None:
    """What shows others that recordings are authentic."""


_practice = click.option("--practice", is_flag=True, help="The simulated lines' evidence instead of the device's.")


@evidence_group.command("key")
@_practice
@click.pass_obj
def key_command(home: Home, practice: bool) -> None:
    """Print the device's fingerprint and public key: what a verifier has to know; and those of earlier devices."""
    import base64
    import hashlib

    from recorder.library.evidence.earlier import earlier_devices
    from recorder.library.evidence.signing import signer

    own = signer(home, practice)
    earlier = [one for one in earlier_devices(home, [own.device]) if one.simulated == practice]
    for public_key, until_ms in ((own.public_key, None), *((one.public_key, one.until_ms) for one in earlier)):
        if until_ms is not None:
            click.echo(f"recorded here until a backup took over, {iso_utc(until_ms)}:")
        click.echo(hashlib.sha256(base64.b64decode(public_key)).hexdigest())
        click.echo(public_key)


@evidence_group.command("head")
@_practice
@click.pass_obj
def head_command(home: Home, practice: bool) -> None:
    """Print the newest signed head of every log."""
    from recorder.library.evidence.anchors import damaged_heads, newest_heads

    for line in newest_heads(home, practice):
        head = line.head
        click.echo(f"{head.log}  {head.tree_size}  {head.root}  {iso_utc(head.at_ms)}  {head.reason}")
    for name, problem in damaged_heads(home, practice).items():
        click.echo(f"{name}: {problem}", err=True)


@evidence_group.command("proof")
@click.argument("recording_id")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where the files go.")
@click.pass_obj
def proof_command(home: Home, recording_id: str, out: Path) -> None:
    """Export a recording with its manifest and the proof that it is in the log."""
    from contextlib import closing

    from firmware.store.connection import open_store
    from recorder.library.evidence.proof import export

    calls = open_store(home.calls_db, readonly=True)
    with closing(calls.conn):
        for path in export(home, calls, recording_id, out):
            click.echo(path)


@evidence_group.command("anchor")
@_practice
@click.option("--print", "printed", is_flag=True, help="Print a page to be kept on paper.")
@click.pass_obj
def anchor_command(home: Home, practice: bool, printed: bool) -> None:
    """Make an anchor now: all heads, signed."""
    from recorder.library.evidence.anchors import add_receipt, make_anchor, printed_page, read_anchor

    path = make_anchor(home, practice, now_ms())
    if not printed:
        click.echo(path)
        return
    click.echo(printed_page(read_anchor(path)), nl=False)
    add_receipt(home, practice, path, {"kind": "printed", "at_ms": now_ms()})


@evidence_group.command("anchors")
@_practice
@click.pass_obj
def anchors_command(home: Home, practice: bool) -> None:
    """List the anchors and who outside has seen them."""
    from recorder.library.evidence.anchors import anchor_paths, read_anchor

    for path in anchor_paths(home, practice):
        anchor = read_anchor(path)
        seen = ", ".join(str(receipt.get("kind")) for receipt in anchor.receipts) or "-"
        click.echo(f"{anchor.anchor.number}  {iso_utc(anchor.anchor.at_ms)}  {anchor.digest()}  {seen}")
