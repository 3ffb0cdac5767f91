"""index.html of a delta: that it isn't all, what changed, and how to make the full archive of it and its base."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from types import MappingProxyType

from shared.moments import iso

from .delta import NAMED_AT_MOST, Changes, Since
from .page import STYLE, Language, link, number
from .verifying import last_of


@dataclass(frozen=True, slots=True)
class Parted:
    """A delta of *customer*'s data in *system* at *moment* (UTC), in the folder *name*: what it is since, and more."""

    customer: str
    system: str
    moment: datetime
    name: str
    since: Since
    changes: Changes


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of the page in one language."""

    title: str
    skip: str
    what: str
    not_all: str
    needs: str
    changes: str
    counts: tuple[str, str, str, str]
    here: str
    media: str
    more: str
    together: str
    command: str
    by_hand: str


WORDS: Mapping[Language, Words] = MappingProxyType(
    {
        "en": Words(
            title="What changed in your data: {customer}",
            skip="Go to the content",
            what="This is what changed in your data in the system {system} up to {moment}, since the archive {base}"
            " of {since}.",
            not_all="This is not all of your data.",
            needs="It is complete only together with the archive {base}, whose SHA-256 is {sha256}. Keep both.",
            changes="What changed",
            counts=(
                "Files that are new",
                "Files that changed",
                "Files that are unchanged in {base}",
                "Files of {base} that are gone",
            ),
            here="Open what is new or changed",
            media="New and changed pictures, films and further files are in data/media.",
            more="There are more; {manifest} names all.",
            together="How to get all of your data",
            command="With the program offramp:",
            by_hand="With nothing of ours, and to check it: {verify}. The page of the full archive takes the place of"
            " this one then.",
        ),
        "sv": Words(
            title="Vad som har ändrats i era uppgifter: {customer}",
            skip="Gå till innehållet",
            what="Det här är vad som har ändrats i era uppgifter i systemet {system} fram till {moment}, sedan arkivet"
            " {base} från {since}.",
            not_all="Det här är inte alla era uppgifter.",
            needs="De är fullständiga bara tillsammans med arkivet {base}, vars SHA-256 är {sha256}. Behåll båda.",
            changes="Vad som har ändrats",
            counts=(
                "Nya filer",
                "Ändrade filer",
                "Filer som finns oförändrade i {base}",
                "Filer i {base} som inte längre finns",
            ),
            here="Öppna det som är nytt eller ändrat",
            media="Nya och ändrade bilder, filmer och andra filer finns i data/media.",
            more="Det finns fler; {manifest} nämner alla.",
            together="Så får ni alla era uppgifter",
            command="Med programmet offramp:",
            by_hand="Utan något av vårt, och för att kontrollera: {verify}. Det fullständiga arkivets sida ersätter"
            " då den här.",
        ),
    }
)


def written(parted: Parted, language: Language) -> bytes:
    """Write the page in *language*."""
    words = WORDS[language]
    lines = (*_head(parted, words, language), *_changes(parted, words), *_together(parted, words))
    return "\n".join([*lines, "</main>", "</body>", "</html>", ""]).encode()


def _head(parted: Parted, words: Words, language: Language) -> Iterator[str]:
    title, base = escape(words.title.format(customer=parted.customer)), parted.since.named
    named = f"<code>{escape(base.export_id)}</code>"
    yield "<!doctype html>"
    yield f'<html lang="{language}">'
    yield '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<title>{title}</title><style>{STYLE}</style></head>"
    yield "<body>"
    yield f'<a class="skip" href="#main">{words.skip}</a>'
    yield f"<header><h1>{title}</h1></header>"
    yield '<main id="main">'
    needs = words.needs.format(base=named, sha256=f"<code>{base.sha256}</code>")
    yield f"<p><strong>{words.not_all}</strong> {needs}</p>"
    moment = f'<time datetime="{iso(parted.moment)}">{parted.moment:%Y-%m-%d %H:%M} UTC</time>'
    since = f"<time>{escape(parted.since.snapshot_at)}</time>"
    yield f"<p>{words.what.format(system=escape(parted.system), moment=moment, base=named, since=since)}</p>"


def _changes(parted: Parted, words: Words) -> Iterator[str]:
    found, base = parted.changes, escape(parted.since.export_id)
    yield f'<h2 id="changes">{words.changes}</h2>'
    yield "<table><tbody>"
    counts = found.new, found.changed, found.unchanged, found.gone
    for says, count in zip(words.counts, counts, strict=True):
        says_it = says.format(base=base)
        yield f'<tr><th scope="row">{says_it}</th><td class="number">{number(count)}</td></tr>'
    yield "</tbody></table>"
    yield f'<h2 id="here">{words.here}</h2>'
    yield f"<ul>{''.join(f'<li>{link(path, path)}</li>' for path in found.named)}</ul>"
    if len(found.named) == NAMED_AT_MOST:
        yield f"<p>{words.more.format(manifest=link('manifest-sha256.txt', 'manifest-sha256.txt'))}</p>"
    yield f"<p>{words.media}</p>"


def _together(parted: Parted, words: Words) -> Iterator[str]:
    since, name = parted.since, escape(parted.name)
    base = escape(last_of(since.bag, 1 if since.several else None))
    base, key = (f"{base}.age", " --identity KEY") if since.encrypted else (base, "")
    yield f'<h2 id="together">{words.together}</h2>'
    yield f"<p>{words.command}</p>"
    yield f"<pre><code>offramp export join {base} {name}.zip --to {name}.full.zip{key}</code></pre>"
    yield f"<p>{words.by_hand.format(verify=link('VERIFY.txt', 'VERIFY.txt'))}</p>"
