"""How deep can it go: a search over depth in rounds."""
