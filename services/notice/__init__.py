"""The notice service: how a contract ends, and when (P1, P2, P12)."""
