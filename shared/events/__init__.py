"""The language: every event, frozen and versioned, and how it travels over Kafka."""
