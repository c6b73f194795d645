from .bbit import BBitSignatures as BBitSignatures
from .minhash import MinHash as MinHash
from .sets import RaggedSets as RaggedSets
from .shingling import shingles as shingles
