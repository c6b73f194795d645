from .index import IVFFlat as IVFFlat
