"""The three services: notice, exporter, retention; none imports another."""
