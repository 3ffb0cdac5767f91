"""All formats that there are, by the names that operators call them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .csv import Csv
from .documents import Documents
from .docx import Docx
from .format import Format
from .jsonlines import JsonLines
from .pdf import Pdf
from .sqldump import SqlDump
from .whole import Whole
from .xlsx import Xlsx
from .xml import Xml

# In the order in which an archive holds them; the first one is what row counts are shown by.
FORMATS: Mapping[str, Format] = MappingProxyType({one.name: one for one in (Csv(), JsonLines())})
# Those that write several tables into one file.
WHOLE: Mapping[str, Whole] = MappingProxyType(
    {one.name: one for one in (SqlDump(), Xml(), Xlsx(), Documents(), Pdf(), Docx())}
)
ALL: Mapping[str, Format | Whole] = MappingProxyType({**FORMATS, **WHOLE})
