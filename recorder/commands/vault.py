"""``tapdeck vault``: the recovery key of encrypted recordings, and opening them without the box."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from firmware.config import Home
from firmware.errors import Refused, StoreError


@click.group("vault")
def vault_group() -> None:
    """Encrypted recordings. TAPDECK_VAULT_…_PASSPHRASE can stand for the prompt of a passphrase."""


@vault_group.command("recovery-key")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where the key is written.")
@click.option("--replace", is_flag=True, help="New recordings take this key instead of the one in use.")
@click.password_option("--passphrase", help="Protects the written key; asked for when left out.")
@click.pass_obj
def recovery_key_command(home: Home, out: Path, replace: bool, passphrase: str) -> None:
    """Make a recovery key. The box keeps its public part only; keep the file and its passphrase elsewhere."""
    from recorder.library.audio.vault_keys import make_recovery_key

    home.create()
    make_recovery_key(home, out, passphrase, replace=replace)
    click.echo(f"Written: {out}. Keep it away from this box; it opens the recordings made from now on.")
    click.echo(f"已写入: {out}。请离线保存,不要留在本机;此后的加密录音都可用它打开。")


@vault_group.command("recover")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--passphrase", prompt=True, hide_input=True, help="Of the recovery key; asked for when left out.")
def recover_command(file: Path, key: Path, out: Path, passphrase: str) -> None:
    """Decrypt FILE (NAME.….tde, with NAME.key.json beside it) with the recovery key, on any machine."""
    from recorder.library.audio.vault import open_with
    from recorder.library.audio.vault_keys import load_recovery_key

    if out.exists():
        raise Refused(f"{out} exists already")
    part = out.with_name(f"{out.name}.part")
    private = load_recovery_key(key, passphrase)
    with open_with(file, lambda: private) as audio:
        try:
            with part.open("wb") as plain:
                shutil.copyfileobj(audio, plain)
            part.rename(out)
        except OSError as error:
            raise StoreError(f"{out}: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
    click.echo(str(out))
