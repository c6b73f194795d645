"""The format on disk: folders, manifests, segments, the log of streaming edges, locks, checks."""
