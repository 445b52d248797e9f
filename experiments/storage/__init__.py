"""What is kept: identity, records, parts on disk, and where the numbers come from."""
