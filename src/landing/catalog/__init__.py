"""A person's files: the workspace, discovered schemas and stream configs, as validated models.

Nothing in it is public: a source or a code location needs none of it.
"""
