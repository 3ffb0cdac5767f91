"""The exporter: answers a request for a customer's data inside the window with one complete archive (P3 to P6)."""
