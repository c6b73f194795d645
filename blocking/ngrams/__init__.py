"""Records as character n-grams, weighed by how rare they are."""
