"""``offramp keys``: make, renew and show the keys that sign certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..settings import read_settings
from .keys import ALLOWED_SIGNERS, PUBLIC_PEM, keys_folder, make_keys, rotate_keys
from .signer import Signer

app = typer.Typer(help="The keys that sign certificates.", no_args_is_help=True)
Folder = Annotated[Path | None, typer.Option(help="default: OFFRAMP_KEYS, else keys/ in OFFRAMP_HOME")]


@app.command()
def make(folder: Folder = None) -> None:
    """Make both keys; refuses if there are any."""
    chosen = _folder(folder)
    make_keys(chosen)
    _tell(chosen)


@app.command()
def rotate(folder: Folder = None) -> None:
    """Sign with new keys from now on; what the old ones signed stays checkable."""
    chosen = _folder(folder)
    rotate_keys(chosen)
    _tell(chosen)


@app.command()
def show(folder: Folder = None) -> None:
    """Show what a verifier needs; nothing of it is secret."""
    _tell(_folder(folder))


def _folder(given: Path | None) -> Path:
    return given.absolute() if given else keys_folder(read_settings().home)


def _tell(folder: Path) -> None:
    signer = Signer.load(folder)
    typer.echo(f"{folder}\n\n{ALLOWED_SIGNERS}\n{signer.allowed_signers.decode()}\n{PUBLIC_PEM}")
    typer.echo(signer.public_pem.decode())
    typer.echo("Publish both where your customers can find them, and not only beside the certificates.")
