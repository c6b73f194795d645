"""Links of many rows at once, from small overlapping parts of them."""
