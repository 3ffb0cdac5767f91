"""A holder that may keep objects for a law is declared with no other one that deletes from the same bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.holder.declaration import HoldersError, load_holders
from shared.holder.kept_buckets import maps_of
from tests.holder.vouchers_world import MAP

HOLDERS = """
version: 1
holders:
  shop: {kind: postgres, map: shop.yaml, database: shop, answers_within: P1D}
  other: OTHER
"""


@pytest.mark.parametrize(
    "other",
    [
        '{kind: s3, bucket: scans, prefix: "{customer}/", answers_within: P1D}',
        "{kind: postgres, map: other.yaml, database: shop, answers_within: P1D}",
    ],
)
def test_a_bucket_from_which_another_holder_deletes_is_refused_by_name(tmp_path: Path, other: str) -> None:
    """Which objects stay only the rows tell: whoever deletes by a prefix, or by other rows, can't know."""
    (tmp_path / "shop.yaml").write_text(MAP.replace("BUCKET", "scans").replace("PLACE", ""))
    (tmp_path / "other.yaml").write_text(
        "version: 1\nsystem: other\ntenancy: rows\ntables:\n"
        '  files: {category: user, owner: {column: c}, media: {f: {bucket: "sc{customer}", key: "{value}"}}}\n'
    )
    (tmp_path / "holders.yaml").write_text(HOLDERS.replace("OTHER", other))
    holders = load_holders(tmp_path / "holders.yaml")
    with pytest.raises(HoldersError, match="other deletes from that bucket"):
        maps_of(holders)


def test_other_buckets_are_no_obstacle(tmp_path: Path) -> None:
    """Nor is a holder beside it that has nothing to do with the scans."""
    (tmp_path / "shop.yaml").write_text(MAP.replace("BUCKET", "scans").replace("PLACE", ""))
    other = '{kind: s3, bucket: films, prefix: "{customer}/", answers_within: P1D}'
    (tmp_path / "holders.yaml").write_text(HOLDERS.replace("OTHER", other))

    assert list(maps_of(load_holders(tmp_path / "holders.yaml"))) == ["shop"]
