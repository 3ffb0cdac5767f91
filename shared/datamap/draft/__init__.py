"""Proposes a data map from a live schema: what is sure is written, what isn't is left undecided, table by table."""
