from .faiss_read import read_faiss as read_faiss
from .faiss_write import write_faiss as write_faiss
from .hnswlib_file import read_hnswlib as read_hnswlib
from .hnswlib_file import read_hnswlib_flat as read_hnswlib_flat
from .hnswlib_file import write_hnswlib as write_hnswlib
from .hnswlib_file import write_hnswlib_flat as write_hnswlib_flat
from .kinds import FileKind as FileKind
from .kinds import detect as detect
