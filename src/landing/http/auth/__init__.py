"""Authentication: credentials, logins and tokens. `landing.http` has the public names."""
