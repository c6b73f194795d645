from .graphvite import GraphVite as GraphVite
