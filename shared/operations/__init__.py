"""The operator's side of the machine: the commands for a night when something beeps."""
