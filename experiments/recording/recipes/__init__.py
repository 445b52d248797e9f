"""Recipes that take the arrays out of a framework, each a file to import or to copy; none imports another."""
