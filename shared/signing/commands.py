"""``offramp keys``: make, renew and show the keys that sign certificates and archives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..clock import system_clock
from ..settings import read_settings
from .allowed import ALLOWED_SIGNERS
from .keys import PUBLIC_PEM, make_keys, make_keys_for_pdf, rotate_keys
from .paperkeys import AUTHORITY_KEY, PAPER_KEY, ROOTS, TIMESTAMP_ROOTS
from .paperkeys import CERTIFICATE as CERTIFICATE_FILE
from .place import keys_folder
from .signer import Signer
from .sshsig import ARCHIVE, CERTIFICATE, Purpose

app = typer.Typer(help="The keys that sign certificates, and those that sign archives.", no_args_is_help=True)
Folder = Annotated[
    Path | None, typer.Option(help="default: OFFRAMP_KEYS or OFFRAMP_EXPORTER_KEYS, else in OFFRAMP_HOME")
]
Archives = Annotated[bool, typer.Option("--archives", help="The exporter's keys, which sign archives.")]


@app.command()
def make(
    folder: Folder = None,
    *,
    archives: Archives = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Only what signs PDFs, beside keys that are there.")] = False,
) -> None:
    """Make both keys, and for certificates what signs PDFs; refuses if there are any."""
    if archives and pdf:
        raise typer.BadParameter("an archive has no PDF to sign: leave out --archives or --pdf")
    chosen = _folder(folder, archives=archives)
    if pdf:
        make_keys_for_pdf(chosen)
    else:
        make_keys(chosen, _purpose(archives=archives))
    _tell(chosen, archives=archives)


@app.command()
def rotate(folder: Folder = None, *, archives: Archives = False) -> None:
    """Sign with new keys from now on; what the old ones signed until now stays checkable."""
    chosen = _folder(folder, archives=archives)
    Signer.load(chosen, _purpose(archives=archives))
    rotate_keys(chosen, system_clock())
    _tell(chosen, archives=archives)
    if (chosen / CERTIFICATE_FILE).exists() and not (chosen / AUTHORITY_KEY).exists():
        typer.echo(
            f"\nWhat signs PDFs is by another authority, so it is as it was: get a new key and certificate there, and "
            f"put them into {PAPER_KEY} and {CERTIFICATE_FILE}."
        )


@app.command()
def show(folder: Folder = None, *, archives: Archives = False) -> None:
    """Show what a verifier needs; nothing of it is secret."""
    _tell(_folder(folder, archives=archives), archives=archives)


def _purpose(*, archives: bool) -> Purpose:
    return ARCHIVE if archives else CERTIFICATE


def _folder(given: Path | None, *, archives: bool) -> Path:
    return given.absolute() if given else keys_folder(read_settings().home, "exporter" if archives else None)


def _tell(folder: Path, *, archives: bool) -> None:
    signer = Signer.load(folder, _purpose(archives=archives))
    typer.echo(f"{folder}\n\n{ALLOWED_SIGNERS}\n{signer.allowed_signers.decode()}\n{PUBLIC_PEM}")
    typer.echo(signer.public_pem.decode())
    for name in (ROOTS, TIMESTAMP_ROOTS):
        if (folder / name).exists():
            typer.echo(f"{name}\n{(folder / name).read_text()}")
    former = sorted(folder.glob("signing.?*.pub.pem"))
    for pem in former:
        typer.echo(f"{pem.name}\n{pem.read_text()}")
    typer.echo("Publish all of it where your customers can find it, and not only beside what it signs.")
