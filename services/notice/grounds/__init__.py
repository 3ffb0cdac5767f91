"""The grounds on which a contract ends by notice, each with a clock of its own."""
