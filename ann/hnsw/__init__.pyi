from .index import HNSW as HNSW
