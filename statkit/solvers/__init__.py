"""Small dense problems: what is left once the data were summed up."""
