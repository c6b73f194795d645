"""How an index keeps its rows: float32, float16, codes of few bits, packed bits."""
