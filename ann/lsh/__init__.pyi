from .index import LSH as LSH
from .index import LSHStatistics as LSHStatistics
from .pairs import SimilarityGraph as SimilarityGraph
