"""The parts of the documentation's site that are made while it is built; see mkdocs.yml."""
