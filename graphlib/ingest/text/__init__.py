"""Text files: their layout, decided from the whole head of each, and their lines as one table."""
