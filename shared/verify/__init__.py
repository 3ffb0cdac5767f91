"""Checks what Offramp handed out, without anything of what made it."""
