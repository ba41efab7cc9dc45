"""Pages of the documentation site that are made when it is built, from the registries, the docstrings and the README."""
