"""The protocol in the bucket: names, the lease, state, parts, publication and logs.

Nothing in it is public: the files that it writes are described in docs/landing-zone.md.
"""
