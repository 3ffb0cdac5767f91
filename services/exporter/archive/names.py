"""Names that every file system takes, for object keys that may be anything."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from unicodedata import is_normalized

# Windows reads these as devices, whatever their suffix, with blanks before it, or with a small raised digit.
_RESERVED = re.compile(r"^(con|prn|aux|nul|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)
_LONGEST_SEGMENT = 120
_DIGITS = 16
_LONGEST_PATH = 180
# So that a name of 72 bytes inside makes no longer path than that.
_LONGEST_FOLDER = 107
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}$")
# Already packed: deflate would only cost time.
_PACKED = re.compile(
    r"\.(7z|aac|avif|br|bz2|docx|epub|flac|gif|gz|h5p|heic|jar|jpe?g|m4a|m4v|mkv|mov|mp[34]|mpg|od[pst]|og[gv]|opus"
    r"|png|pptx|rar|tgz|web[mp]|woff2?|xlsx|xz|zip|zst)$",
    re.IGNORECASE,
)


def is_packed(key: str) -> bool:
    """Tell from its suffix whether an object is packed already."""
    return _PACKED.search(key) is not None


def bag_name(export_id: str) -> str:
    """Name the one folder in the ZIP of an archive."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", export_id)


def with_suffix(path: str, suffix: str) -> str:
    """Give *path* with another suffix, for what belongs to that file: so they are found together, whatever its name."""
    return str(PurePosixPath(path).with_suffix(suffix))


class SafeNames:
    """Gives each key a path of its own: the key itself where that is safe, else a tame one with a digest in it.

    Two keys never share a path, nor is one's file another's folder, on file systems that fold case too. Remembers
    a number per name.
    """

    def __init__(self) -> None:
        self._files: set[int] = set()
        self._folders: set[int] = set()

    def path(self, folder: str, key: str) -> str:
        """Give the path for *key* in the top *folder*, which is no file's name."""
        plain = "/".join(map(_tame, (folder, *key.split("/"))))
        if plain == f"{folder}/{key}" and len(plain.encode()) <= _LONGEST_PATH and self._take(plain):
            return plain
        return _marked(plain, f"{folder}/{key}", key)

    def named(self, folder: str, name: str, key: str) -> str:
        """Give the path for *key* under the readable *name*, which others may have too; it has no folder of its own."""
        plain = f"{_tame(folder)}/{_tame(name)}"
        if plain == f"{folder}/{name}" and len(plain.encode()) <= _LONGEST_PATH and self._take(plain):
            return plain
        return _marked(plain, f"{folder}\0{key}", name)

    def folder(self, folder: str, key: str) -> str:
        """Give a folder for *key* in the top *folder* that nothing else is in; what is put into it is the caller's."""
        plain = "/".join(map(_tame, (folder, *key.split("/"))))
        if plain == f"{folder}/{key}" and len(plain.encode()) <= _LONGEST_FOLDER and self._take_folder(plain):
            return plain
        return _marked(plain, f"{folder}/{key}/", key, _LONGEST_FOLDER - len(f"{folder}/~.12345678") - _DIGITS)

    def _take_folder(self, path: str) -> bool:
        folded = path.casefold()
        if hash(folded) in self._folders:
            return False
        # As if a file were in it: then it is no file's name, and all above it are folders.
        return self._take(f"{folded}/")

    def _take(self, path: str) -> bool:
        file, folders = hash(path.casefold()), _folders(path.casefold())
        if file in self._files or file in self._folders or folders & self._files:
            return False
        self._files.add(file)
        self._folders |= folders
        return True


def _folders(path: str) -> set[int]:
    return {hash(path[: found.start()]) for found in re.finditer("/", path)}


def _tame(segment: str) -> str:
    if not is_normalized("NFC", segment):
        return _tame(re.sub(r"[^\x00-\x7f]", "_", segment))
    kept = "".join(letter if letter.isalnum() or letter in "._- ()+,=@" else "_" for letter in segment)
    kept = kept.strip(". ")[:_LONGEST_SEGMENT] or "_"
    return f"_{kept}" if _RESERVED.match(kept) else kept


def _marked(plain: str, key: str, name: str, longest: int = _LONGEST_SEGMENT) -> str:
    # No tame name has a tilde, so this one is free; it is flat, so it needs no folder that might be a file.
    folder, _, rest = plain.partition("/")
    flat = rest.replace("/", "_")
    # Of a long name the tame one has no end any more; without its suffix no program opens it.
    found = _SUFFIX.search(flat) or _SUFFIX.search(name)
    suffix = found.group() if found else ""
    stem = flat.removesuffix(suffix).encode()[:longest].decode("utf-8", "ignore")
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{folder}/{stem}~{digest}{suffix}"
