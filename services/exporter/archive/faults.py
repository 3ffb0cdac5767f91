"""Why no archive was made; an outage is none of these, it keeps its own name and waiting helps."""

from __future__ import annotations

from shared.errors import OperatorError


class SourceOutageError(OperatorError):
    """The source went away, or can't be reached: no fault of the archive, and waiting helps."""


class ArchiveError(OperatorError):
    """The archive can't be made until somebody changes something: *code* for machines, *place* is what it is about."""

    code = "archive_fault"

    def __init__(self, place: str, says: str, remedy: str) -> None:
        """Say what is wrong, where, and what to do."""
        super().__init__(f"{place}: {says}. {remedy}")
        self.place = place


class MapDisagreesError(ArchiveError):
    """The data map and the live schema don't agree, so something would be skipped in silence."""

    code = "map_disagrees"


class RowsDisagreeError(ArchiveError):
    """What was written isn't what the snapshot holds."""

    code = "rows_disagree"


class UnreadError(ArchiveError):
    """A declared source is not in what was written."""

    code = "unread"


class NotReadBackError(ArchiveError):
    """The archive, read again from where it lies, isn't what was written or isn't what the source held."""

    code = "not_read_back"


class MediaChangedError(ArchiveError):
    """An object vanished or changed between its listing and its reading."""

    code = "media_changed"


class MediaMissingError(ArchiveError):
    """A row refers to an object that is not there, or that can't be the customer's."""

    code = "media_missing"


class MediaDiffersError(ArchiveError):
    """An object is not what the row that refers to it has recorded."""

    code = "media_differs"


class NothingLeftError(ArchiveError):
    """The map leaves out every column of a table, or names a bucket where no store is given."""

    code = "nothing_left"


class UnwritableError(ArchiveError):
    """The place of the archive can't be written to."""

    code = "unwritable"


class UnknownError(ArchiveError):
    """A format or a kind of data was asked for that there is not."""

    code = "unknown"


class PapersAloneError(ArchiveError):
    """What was asked for holds no rows of tables, so that no archive of it could be complete."""

    code = "papers_alone"


class UnusableRecipientError(ArchiveError):
    """The archive is to be encrypted for somebody whose public key can't be used."""

    code = "unusable_recipient"


class UnusableBaseError(ArchiveError):
    """What a delta was to be made against isn't whole, isn't ours, or isn't the customer's."""

    code = "unusable_base"


class OtherMapError(ArchiveError):
    """What a delta was to be made against was made by another data map."""

    code = "base_other_map"


class TooManyVolumesError(ArchiveError):
    """So many files nobody can handle."""

    code = "too_many_volumes"
