"""How an index keeps its rows: float32, float16, 8-bit codes, packed bits."""
