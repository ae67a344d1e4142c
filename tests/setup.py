"""Bring what the tests need beyond Python packages: Debian's PostgreSQL and DynamoDB Local."""
