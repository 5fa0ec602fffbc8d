"""Rate limits for requests to an API. `landing.http` has the public names."""
