"""Pages of the documentation site that are made when it is built, from registries, docstrings and the README."""
