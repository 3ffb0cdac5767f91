"""What a certificate says of itself, for whoever reads one years later."""

from __future__ import annotations

# Sentences for whoever reads a certificate years later. They are the same in each, so they have no room for a person.
ABOUT = {
    "what": "After the end of its contract and of the days in which it could fetch its data, everything of this "
    "customer was deleted from every system under holders, but for objects under shared, and, where erased says "
    "all_but_retained, for rows under retained. This document shows what, when, by whom, and how it was checked. "
    "Moments are in UTC.",
    "retained": "Rows that the law cited as basis keeps to the end of the day until, and the objects that they "
    "refer to, in all versions; their columns under minimised were emptied, since it doesn't need them. Rows under "
    "needed are those that they refer to, or are found by. When the time of each has come it is deleted as well, and "
    "an addendum, which names this document by its digest, says so.",
    "shared": "Objects that this customer's rows referred to and others' rows refer to as well, such as a file that "
    "equal files share. They are theirs too, and stay; the customer's rows that led to them are gone.",
    "method": "The term of NIST SP 800-88r2 that comes nearest is Clear, by logical deletion: rows were deleted by the "
    "database's own commands, objects with all their versions and unfinished uploads by the object store's. The media "
    "were neither overwritten nor destroyed; a database reuses the space of deleted rows in its own time.",
    "verification": "Each holder read its own system again before it answered: rows or objects left, and fingerprints "
    "of everybody else's before and after. A fingerprint does not depend on the order of rows. Of a table or bucket "
    "under sampled only so many of the others' were compared as are counted. Where accounted is not 0, so many batches "
    "had gone before it compared; of each of them the database's own counters showed that it wrote nothing else. What "
    "is under differed was not equal when the holder first answered: it was told to an operator, and the holder "
    "answered again. Under disputed is what earlier answers said to have deleted that the validation found otherwise; "
    "of that only as much counts as deleted as the validation shows to be gone.",
    "validation": "Then the retention service looked for itself, with queries and listings other than those that "
    "deleted. What it found left is 0 everywhere, but for what is under kept: just the rows under retained and needed, "
    "or there would be no certificate. Everybody else's rows are shown as "
    "it saw them before the first command and after the last answer; on a platform that goes on working they may have "
    "changed in between by their owners' own work.",
    "journal": "Every decision in this case, in order. An entry's seal is the SHA-256 of the JSON list [seal before "
    "it, at, given, state, [events]], written without spaces; before the first entry the seal is 64 zeros. Nothing can "
    "be taken out, put in or altered without breaking all seals after it.",
    "symmetry": "The last export that was ready beside the deletion. Of a table, the rows in it beside those deleted "
    "and retained. Of a bucket, the objects in it, each counted once, beside those that could be read when the "
    "retention service looked before the first command: deleted are those of them that it didn't find after the last "
    "answer. Older versions, delete markers and unfinished uploads are in no export; how many went is under holders. "
    "The difference is named: written_since the export, or gone_before the deletion. Nothing was compared of objects "
    "under objects_not_compared, nor of what is under not_exported: rows or versions deleted, or kept, from where that "
    "export has nothing, such as the archives themselves.",
    "stage": "production: deleted from every system, while the copies under copies_to_expire, from which nothing is "
    "deleted, expire by themselves at the moments named there; another certificate follows. full: there are no such "
    "copies.",
    "limits": "Copies under copies_to_expire are not covered by the counts. This document names ids, "
    "counts, digests and moments, and holds no personal data.",
}
