"""How fast an API is asked. Public names are those of `landing.http`."""
