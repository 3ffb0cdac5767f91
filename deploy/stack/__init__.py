"""The local stack: a real Kafka, PostgreSQL and S3 out of Python packages, without Docker or a system Java."""
