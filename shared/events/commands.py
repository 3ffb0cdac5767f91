"""The commands ``offramp events …``: the language's documents, made and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from ..errors import OperatorError
from .compatibility import breaches
from .documents import Traffic, documents

app = typer.Typer(help="The language: its documents, made of the events' models.", no_args_is_help=True)
# Without a callback, typer would make a lone command of a lone group.
app.callback()(lambda: None)

FOLDER = Path("docs/events")
TOPICS = Path("deploy/topics.yaml")


@app.command()
def document(
    folder: Annotated[Path, typer.Option(help="Where the documents are kept.")] = FOLDER,
    topics: Annotated[Path | None, typer.Option(help=f"Who writes and reads which topic [default: {TOPICS}].")] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 and name what drifted.")] = False,
) -> None:
    """Write the AsyncAPI document and the JSON Schemas, unless a version of an event was changed against the rule."""
    made = documents(traffic_of(topics))
    if not folder.parent.is_dir():
        raise OperatorError(
            f"{folder.parent} does not exist: run this in the checkout, or name the folder by --folder."
        )
    refuse_breaches(folder, made)
    drifted = drift(folder, made)
    if check and drifted:
        raise OperatorError(f"not what the models say: {', '.join(drifted)}. Run `offramp events document`.")
    if not check:
        write(folder, made)
    for name in drifted:
        typer.echo(f"written: {folder / name}")


def traffic_of(topics: Path | None) -> Traffic:
    """Read who writes and reads which topic: ``topics: {name: {writers: [service], readers: [service]}}`` in YAML."""
    if topics is None and not TOPICS.exists():
        return Traffic()
    try:
        declared = yaml.safe_load((topics or TOPICS).read_text(encoding="utf-8"))["topics"]
        return Traffic(_column(declared, "writers"), _column(declared, "readers"))
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        why = f"{topics or TOPICS} does not say who writes and reads which topic ({type(error).__name__})"
        raise OperatorError(f"{why}: name another file by --topics.") from error


def _column(declared: dict[str, dict[str, Any]], column: str) -> dict[str, list[str]]:
    return {name: topic[column] for name, topic in declared.items() if column in topic}


def refuse_breaches(folder: Path, made: dict[str, str]) -> None:
    """Raise ``OperatorError`` if a schema in *folder*, which others rely on, would change against the rule."""
    found = [
        f"{Path(name).stem}: {sentence}"
        for name, text in made.items()
        if name.startswith("schemas/") and (folder / name).exists()
        for sentence in breaches(json.loads((folder / name).read_text(encoding="utf-8")), json.loads(text))
    ]
    if found:
        raise OperatorError("\n  ".join(("changed against docs/compatibility.md:", *found)))


def drift(folder: Path, made: dict[str, str]) -> list[str]:
    """Name the documents in *folder* that are missing, different or left over."""
    kept = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    differ = (name for name, text in made.items() if name not in kept or kept[name].read_text(encoding="utf-8") != text)
    return sorted({*differ, *(kept.keys() - made.keys())})


def write(folder: Path, made: dict[str, str]) -> None:
    """Make *folder* hold what was *made*; what is left over stays, for a person to decide about."""
    for name, text in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
