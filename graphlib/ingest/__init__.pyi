from .api import ingest as ingest
