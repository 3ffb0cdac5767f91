"""The retention service: the 90 days, the deletion, the proof, the end (P3, P7, P8, P10, P11)."""
