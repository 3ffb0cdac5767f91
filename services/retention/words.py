"""The words of a certificate's paper, in the languages that there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

Tongue: TypeAlias = Literal["en", "sv"]
TONGUES: tuple[Tongue, ...] = ("en", "sv")


def tongue(language: str | None) -> Tongue:
    """Choose the language of a paper for a customer whose contract names *language* (BCP 47); English for others."""
    return "sv" if (language or "").partition("-")[0] == "sv" else "en"


def said(what: str, language: Tongue) -> str:
    """Give the sentence or the word for *what*; raises KeyError."""
    return SENTENCES[what][TONGUES.index(language)]


def in_order(fields: Iterable[str]) -> list[str]:
    """Sort *fields* of the JSON as a paper tells them; those without a word come last."""
    ranks = {field: rank for rank, field in enumerate(FIELDS)}
    return sorted(fields, key=lambda field: (ranks.get(field, len(ranks)), field))


def named(field: str, language: Tongue) -> str:
    """Give the word for a *field* of the JSON; one that has none is called as there."""
    words = FIELDS.get(field)
    return field if words is None else words[TONGUES.index(language)]


SENTENCES: dict[str, tuple[str, str]] = {
    "certificate.json": ("Certificate of deletion", "Intyg om radering"),
    "addendum.json": ("Addendum to the certificate of deletion", "Tillägg till intyget om radering"),
    "upgrade.json": ("Second certificate of deletion", "Andra intyget om radering"),
    "what": (
        (
            "This is {name} for people to read. It says what was deleted of this customer's data, in which systems, "
            "when, and how that was checked. Both say the same; what counts is {name}, whose SHA-256 is:"
        ),
        (
            "Detta är {name} i läsbar form. Här står vad som har raderats av kundens data, i vilka system, när, och "
            "hur det kontrollerades. Båda säger samma sak; det som gäller är {name}, vars SHA-256 är:"
        ),
    ),
    "how": (
        (
            "The document carries a signature of its own (PAdES). How to check both, with ordinary tools, is in "
            "VERIFY.txt beside it. Moments are in UTC. Digests in tables are cut to 16 digits; {name} has all of them."
        ),
        (
            "Dokumentet har en egen elektronisk underskrift (PAdES). Hur båda kontrolleras med vanliga verktyg står i "
            "VERIFY.txt bredvid. Tidpunkter anges i UTC. Kontrollsummor i tabeller är avkortade till 16 tecken; {name} "
            "har dem hela."
        ),
    ),
    "stamped": (
        "The signature has a timestamp by a third party (RFC 3161): it was made at that moment at the latest.",
        "Underskriften har en tidsstämpel från tredje part (RFC 3161): den gjordes senast vid den tidpunkten.",
    ),
    "unstamped": (
        "There is no timestamp by a third party: the moment of signing is the word of whoever holds the key.",
        "Det finns ingen tidsstämpel från tredje part: tidpunkten för underskriften är utfärdarens egen uppgift.",
    ),
    "field": ("Field", "Uppgift"),
    "value": ("Value", "Värde"),
    "none": ("none", "inga"),
    "true": ("yes", "ja"),
    "false": ("no", "nej"),
}

# In the order in which a paper tells them.
FIELDS: dict[str, tuple[str, str]] = {
    "customer_id": ("Customer", "Kund"),
    "deletion_id": ("Deletion", "Radering"),
    "first_deletion_id": ("First deletion", "Första raderingen"),
    "number": ("Number", "Nummer"),
    "erased": ("Deleted", "Raderat"),
    "stage": ("Stage", "Steg"),
    "rows_deleted": ("Rows and objects deleted", "Raderade rader och objekt"),
    "customer_informed": ("Customer was informed", "Kunden informerades"),
    "export_confirmed": ("Customer confirmed an export", "Kunden bekräftade en export"),
    "sub_processors": ("Sub-processors", "Underbiträden"),
    "first_certificate": ("First certificate", "Första intyget"),
    "first_sha256": ("SHA-256 of the first certificate", "Första intygets SHA-256"),
    "holder": ("System", "System"),
    "hold_id": ("Hold", "Bevarandebeslut"),
    "announcement_id": ("Announcement", "Meddelande"),
    "export_id": ("Export", "Export"),
    "copy_name": ("Copy", "Kopia"),
    "of": ("Of", "Av"),
    "table": ("Table or bucket", "Tabell eller lagringsplats"),
    "at": ("At", "Tidpunkt"),
    "given": ("Given", "Underlag"),
    "state": ("State after it", "Läge efteråt"),
    "method": ("Method (NIST SP 800-88)", "Metod (NIST SP 800-88)"),
    "export_sha256": ("SHA-256 of the export", "Exportens SHA-256"),
    "snapshot_at": ("As of", "Läget"),
    "sha256": ("SHA-256", "SHA-256"),
    "confirmed_by": ("Confirmed by", "Bekräftad av"),
    "confirmed_at": ("Confirmed at", "Bekräftad"),
    "channel": ("Channel", "Kanal"),
    "outcome": ("Outcome", "Utfall"),
    "informed_at": ("Informed at", "Informerades"),
    "basis": ("Legal basis", "Rättslig grund"),
    "until": ("Kept to the end of", "Bevaras till och med"),
    "minimised": ("Emptied columns, or rows", "Tömda kolumner, eller rader"),
    "kept": ("Kept for a law", "Bevaras enligt lag"),
    "needed": ("Needed by what is kept", "Behövs av det som bevaras"),
    "certificate": ("Certificate", "Intyg"),
    "certificate_sha256": ("SHA-256 of the certificate", "Intygets SHA-256"),
    "continues": ("Earlier certificate, of which this goes on", "Tidigare intyg, som detta fortsätter"),
    "scope": ("Scope", "Omfattning"),
    "placed_at": ("Placed", "Infördes"),
    "released_at": ("Released", "Hävdes"),
    "ended_at": ("Ended", "Upphörde"),
    "terminated_at": ("Contract ended", "Avtalet upphörde"),
    "window_days": ("Days", "Dagar"),
    "window_closed_at": ("Days were over", "Dagarna var över"),
    "policy_version": ("Version of the policy", "Policyns version"),
    "commanded_at": ("Commanded", "Beordrades"),
    "answered_at": ("Answered", "Svarade"),
    "checked_at": ("Checked at", "Kontrollerat"),
    "expires_at": ("Expires at the latest", "Löper ut senast"),
    "in_spite_of": ("In spite of", "Trots"),
    "maps": ("By other data maps", "Enligt andra datakartor"),
    "map_sha256": ("Data map", "Datakarta"),
    "rows": ("Rows or objects", "Rader eller objekt"),
    "requested_by": ("Requested by", "Begärt av"),
    "approved_by": ("Approved by", "Godkänt av"),
    "approved_at": ("Approved at", "Godkänt"),
    "left": ("Left", "Kvar"),
    "exported": ("Exported", "Exporterat"),
    "deleted": ("Deleted", "Raderat"),
    "written_since": ("Written since", "Skrivet sedan dess"),
    "not_exported": ("Nothing of it was in that export", "Inget av det fanns i den exporten"),
    "objects_not_compared": ("Exported objects not compared", "Exporterade objekt som inte jämfördes"),
    "objects": ("Objects, each counted once", "Objekt, vart och ett räknat en gång"),
    "gone_before": ("Gone before", "Borta sedan tidigare"),
    "others_before": ("Others' before", "Andras före"),
    "others_after": ("Others' after", "Andras efter"),
    "rows_before": ("Rows before", "Rader före"),
    "rows_after": ("Rows after", "Rader efter"),
    "fingerprint_before": ("Fingerprint before", "Fingeravtryck före"),
    "fingerprint_after": ("Fingerprint after", "Fingeravtryck efter"),
    "fingerprint_method": ("Fingerprint by method", "Fingeravtryck enligt metod"),
    "before": ("Fingerprint before", "Fingeravtryck före"),
    "after": ("Fingerprint after", "Fingeravtryck efter"),
    "events": ("Events", "Händelser"),
    "seal": ("Seal", "Sigill"),
    "journal_head": ("Last seal of the journal", "Journalens sista sigill"),
    "window": ("The days to fetch the data", "Dagarna för att hämta data"),
    "informed": ("How the customer was informed", "Hur kunden informerades"),
    "confirmed": ("Confirmed exports", "Bekräftade exporter"),
    "holds": ("Legal holds", "Rättsliga bevarandebeslut"),
    "approvals": ("Approvals by a second person", "Godkännanden av en andra person"),
    "retained": ("What laws keep", "Vad lagen bevarar"),
    "gone": ("Had its time, and is gone", "Tiden har gått ut, och det är borta"),
    "holders": ("System by system", "System för system"),
    "shared": ("Stays, since others' data refers to it too", "Kvar, eftersom andras data också hänvisar dit"),
    "sampled": ("Compared in part only", "Endast delvis jämförda"),
    "accounted": ("Batches before the comparison", "Omgångar före jämförelsen"),
    "differed": ("Earlier comparisons that differed", "Tidigare jämförelser som avvek"),
    "disputed": ("Said to be deleted, and disputed", "Uppgivet som raderat, men bestritt"),
    "asked_anew": ("Systems were only asked anew", "Systemen tillfrågades bara på nytt"),
    "remaining": ("Left, as the system counted", "Kvar, enligt systemets räkning"),
    "verification": ("Checked by the system itself", "Kontrollerat av systemet självt"),
    "bystanders": ("Everybody else's data, as the system compared it", "Alla andras data, enligt systemets jämförelse"),
    "validation": ("The check by another path", "Kontrollen på annan väg"),
    "searched": ("Where ids were looked for, and not found", "Där id:n eftersöktes utan att hittas"),
    "identifiers": ("Ids that were looked for", "Id:n som eftersöktes"),
    "left_out": (
        "Ids that could be anything, or are another's too",
        "Id:n som kan vara vad som helst, eller också är någon annans",
    ),
    "others_unknown": ("There may be other ids", "Det kan finnas andra id:n"),
    "columns": ("Columns looked through", "Genomsökta kolumner"),
    "passed_over": ("Passed over, as the data map says why", "Förbigångna, enligt datakartans skäl"),
    "tables": ("Tables and buckets", "Tabeller och lagringsplatser"),
    "symmetry": ("The last export beside the deletion", "Den sista exporten jämte raderingen"),
    "access_ended": ("Services that ended access", "Tjänster som avslutade åtkomsten"),
    "copies_to_expire": ("Copies still to expire", "Kopior som ännu ska löpa ut"),
    "expired": ("Copies that have expired", "Kopior som har löpt ut"),
    "journal": ("Every decision in the case", "Alla beslut i ärendet"),
}
