"""Who asks: credentials, logins and tokens. Public names are those of `landing.http`."""
