"""How far is a row: exact distances, sums over rows, byte products, and scans of many rows."""
