"""Signatures that an outsider can check years later with tools that every machine has."""
