"""The four letters with which a FAISS index file names a class."""

from __future__ import annotations

CLASSES = {
    "IxF2": "IndexFlatL2", "IxFI": "IndexFlatIP", "IxFl": "IndexFlat", "IxSQ": "IndexScalarQuantizer",
    "IHNf": "IndexHNSWFlat", "IHNs": "IndexHNSWSQ", "IHNp": "IndexHNSWPQ", "IHN2": "IndexHNSW2Level",
    "IH00": "IndexHNSW", "IHfP": "IndexHNSWFlatPanorama", "IHc2": "IndexHNSWCagra", "IHNc": "IndexHNSWCagra",
    "IwFl": "IndexIVFFlat", "IwFd": "IndexIVFFlatDedup", "IwSq": "IndexIVFScalarQuantizer",
    "IwSQ": "IndexIVFScalarQuantizer",
    "IwPQ": "IndexIVFPQ", "IvPQ": "IndexIVFPQ", "IwQR": "IndexIVFPQR", "IwPf": "IndexIVFPQFastScan",
    "IxPq": "IndexPQ", "IxPQ": "IndexPQ", "IPfs": "IndexPQFastScan", "IxRQ": "IndexResidualQuantizer",
    "IxRq": "IndexResidualQuantizer", "IxLS": "IndexLocalSearchQuantizer", "IxHe": "IndexLSH", "IxHE": "IndexLSH",
    "Ixrq": "IndexRaBitQ", "Ixrr": "IndexRaBitQ", "IxMp": "IndexIDMap", "IxM2": "IndexIDMap2",
    "IxPT": "IndexPreTransform", "IxRF": "IndexRefine", "IxRP": "IndexRowwiseMinMax", "INSf": "IndexNSGFlat",
    "INSG": "IndexNSG", "INNf": "IndexNNDescentFlat", "ILat": "IndexLattice", "Imiq": "MultiIndexQuantizer",
    "IBxF": "IndexBinaryFlat", "IBwF": "IndexBinaryIVF", "IBHf": "IndexBinaryHNSW", "IBMp": "IndexBinaryIDMap",
    "IBM2": "IndexBinaryIDMap2", "null": "index without vectors (saved with IO_FLAG_SKIP_STORAGE)",
}  # fmt: skip
