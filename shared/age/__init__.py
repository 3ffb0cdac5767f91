"""Reads what was encrypted with age (age-encryption.org/v1), anywhere in it: the writer is another program."""
