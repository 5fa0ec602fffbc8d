"""The protocol in the bucket: names, the lease, state, parts, publication and logs.

Nothing here is public. docs/landing-zone.md describes the files that it writes.
"""
