"""Pictures of a community: a layout of its nodes as PNG or as one self-contained page."""
