"""Bech32 (BIP 173), in which age writes its keys: 32 letters, with a checksum that finds what was mistyped."""

from __future__ import annotations

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6


def bytes_of(text: str, prefix: str) -> bytes:
    """Give the bytes that *text* says after *prefix*, in either case; raises ValueError where it says none."""
    if text not in {text.lower(), text.upper()}:
        raise ValueError("letters of both cases")
    said, _, data = text.lower().rpartition("1")
    if said != prefix or len(data) < _CHECKSUM or set(data) - set(_LETTERS):
        raise ValueError(f"not of the form {prefix}1…")
    values = [_LETTERS.index(letter) for letter in data]
    spread = [ord(letter) >> 5 for letter in said] + [0] + [ord(letter) & 31 for letter in said]
    if _polymod([*spread, *values]) != 1:
        raise ValueError("its checksum is wrong")
    return _eights(values[:-_CHECKSUM])


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check


def _eights(fives: list[int]) -> bytes:
    bits = "".join(f"{five:05b}" for five in fives)
    whole = len(bits) // 8 * 8
    if "1" in bits[whole:] or len(bits) - whole >= 5:  # noqa: PLR2004 - a letter has five bits
        raise ValueError("it is cut off")
    return bytes(int(bits[at : at + 8], 2) for at in range(0, whole, 8))
