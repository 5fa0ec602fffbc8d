"""A module for each verb of `landing`: its arguments, and the call of what does the work."""
