"""Pages of JSON turned into columns by other processes, since one interpreter does one thing at a
time: `pool` is what a run uses, `program` what runs there, and `frames` what goes between them.
"""
