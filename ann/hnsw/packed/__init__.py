"""Links with codes: a node's block holds its neighbours' codes beside its links, and is estimated at once."""
