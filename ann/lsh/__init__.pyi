from .index import LSH as LSH
from .pairs import SimilarityGraph as SimilarityGraph
from .statistics import LSHStatistics as LSHStatistics
