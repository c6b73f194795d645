"""RaBitQ: codes of a few bits a coordinate, from which distances are estimated without bias."""
