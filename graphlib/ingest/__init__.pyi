from .job import ingest as ingest
