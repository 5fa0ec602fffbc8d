"""How the pages of an endpoint follow one another. Public names are those of `landing.http`."""
