"""Learned hashes of records: encoders, their training, and the blocker of what they give."""
