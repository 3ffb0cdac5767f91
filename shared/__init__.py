"""The language and the machine that every Offramp service is made of; it knows no service."""
