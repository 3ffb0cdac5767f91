"""The formats of structured data (P5): one module each, all of them listed in ``registry``."""
