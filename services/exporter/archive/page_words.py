"""What index.html says, in each language that it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .lost import Loss


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of the page in one language."""

    title: str
    skip: str
    what: str
    counts: str
    tables: str
    tables_say: str
    categories: Mapping[str, str]
    table: str
    rows: str
    files: str
    formats: str
    of_formats: Mapping[str, str]
    media: str
    some_media: str
    no_media: str
    referred: str
    lost: str
    losses: Mapping[Loss, str]
    left_out: str
    columns_left_out: str
    tables_not_asked: str
    not_asked: str
    exempt: str
    none: str
    check: str
    check_says: str
    check_elsewhere: str
    check_more: str
    signed: str
    not_signed: str


_ENGLISH = Words(
    title="Your data: {customer}",
    skip="Go to the content",
    what="This is your data in the system {system}, all of it as it was at the same moment: {moment}.",
    counts="{0} tables with {1} rows in all, and {2} files.",
    tables="What is here",
    tables_say="Each table is here in several formats, all with the same rows. Choose what suits your program.",
    categories=MappingProxyType({"user": "Users", "course": "Courses", "report": "Reports and statistics"}),
    table="Table",
    rows="Rows",
    files="Open",
    formats="The formats, and what they are good for",
    of_formats=MappingProxyType(
        {
            "csv": "Text with commas, for spreadsheets and for the import into a new system. Import it as text rather"
            " than opening it with a double click, since a cell may begin with =.",
            "jsonlines": "One row a line, for programmers.",
            "documents": "One line for each person or course with everything that belongs to it, for programmers.",
            "xml": "For systems that read XML; the .xsd beside each file says what is in it.",
            "xlsx": "Workbooks for Excel, LibreOffice and the like, a sheet for each table. The sheet “About” says what"
            " a spreadsheet can't hold.",
            "sql": "For a PostgreSQL database: psql restores it with keys and all.",
            "pdf": "To read and to print: certificates and reports.",
            "docx": "Reports, for Word and LibreOffice.",
        }
    ),
    media="Pictures, films and further files",
    some_media="{count} files with {size} bytes, unchanged, in the folder data/media. {listed} says which is which.",
    no_media="There are none. {listed} is an empty list.",
    referred="{listed} says to which file each row refers.",
    lost="Some files are not here as the rows say:",
    losses={
        "missing": "{count} are missing",
        "differing": "{count} are other than recorded, and here as they are",
        "elsewhere": "{count} lie elsewhere",
    },
    left_out="What is not here, and why",
    columns_left_out="Columns that were left out",
    tables_not_asked="Tables that were not asked for",
    not_asked="this kind of data was not asked for",
    exempt="Tables that hold nothing of yours",
    none="None.",
    check="How to check that everything is here",
    check_says="Nothing of ours is needed. Open a terminal where you unpacked the archive, and paste this (Linux,"
    " Windows with WSL). Every line has to end with OK:",
    check_elsewhere="On a Mac the second line is:",
    check_more="More ways to check: {readme}.",
    signed="All of this is signed by the key {key}. {verify} says how to check that; compare the key with the one that"
    " was published.",
    not_signed="This archive is not signed: nothing shows who made it.",
)

_SWEDISH = Words(
    title="Era uppgifter: {customer}",
    skip="Gå till innehållet",
    what="Det här är era uppgifter i systemet {system}, alla som de var vid samma tidpunkt: {moment}.",
    counts="{0} tabeller med sammanlagt {1} rader, och {2} filer.",
    tables="Vad som finns här",
    tables_say="Varje tabell finns i flera format, som alla innehåller samma rader. Välj det som passar ert program.",
    categories=MappingProxyType({"user": "Användare", "course": "Kurser", "report": "Rapporter och statistik"}),
    table="Tabell",
    rows="Rader",
    files="Öppna",
    formats="Formaten, och vad de är bra för",
    of_formats=MappingProxyType(
        {
            "csv": "Text med kommatecken, för kalkylprogram och för import i andra system. Importera den som text i"
            " stället för att dubbelklicka, eftersom en cell kan börja med =.",
            "jsonlines": "En rad i taget, för programmerare.",
            "documents": "En rad för varje person eller kurs med allt som hör till, för programmerare.",
            "xml": "För system som läser XML; .xsd-filen bredvid säger vad som finns i varje fil.",
            "xlsx": "Arbetsböcker för Excel, LibreOffice med flera, ett blad för varje tabell. Bladet ”About” säger vad"
            " ett kalkylprogram inte kan rymma.",
            "sql": "För en PostgreSQL-databas: psql återställer den med nycklar och allt.",
            "pdf": "Att läsa och skriva ut: intyg och rapporter.",
            "docx": "Rapporter, för Word och LibreOffice.",
        }
    ),
    media="Bilder, filmer och andra filer",
    some_media="{count} filer med {size} byte, oförändrade, i mappen data/media. {listed} säger vilken som är vilken.",
    no_media="Det finns inga. {listed} är en tom lista.",
    referred="{listed} säger vilken fil varje rad hänvisar till.",
    lost="Några filer finns inte här så som raderna säger:",
    losses={
        "missing": "{count} saknas",
        "differing": "{count} skiljer sig från vad som noterats, och finns här som de är",
        "elsewhere": "{count} ligger någon annanstans",
    },
    left_out="Vad som inte finns här, och varför",
    columns_left_out="Kolumner som utelämnades",
    tables_not_asked="Tabeller som inte efterfrågades",
    not_asked="den här sortens uppgifter efterfrågades inte",
    exempt="Tabeller som inte innehåller något av ert",
    none="Inga.",
    check="Så kontrollerar ni att allt finns här",
    check_says="Inget av vårt behövs. Öppna en terminal där ni packade upp arkivet och klistra in detta (Linux,"
    " Windows med WSL). Varje rad ska sluta med OK:",
    check_elsewhere="På en Mac är andra raden:",
    check_more="Fler sätt att kontrollera: {readme}.",
    signed="Allt detta är signerat med nyckeln {key}. {verify} säger hur det kontrolleras; jämför nyckeln med den som"
    " har publicerats.",
    not_signed="Det här arkivet är inte signerat: inget visar vem som har gjort det.",
)

WORDS: Mapping[str, Words] = MappingProxyType({"en": _ENGLISH, "sv": _SWEDISH})
