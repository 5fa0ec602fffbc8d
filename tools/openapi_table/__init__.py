"""Which lists of public OpenAPI documents a source from `landing new` reads whole.

`apis` says by hand how each API pages, `documents` finds the lists of its document, `standin`
serves them, `trial` writes a source from the document and runs it. None of them uses what
`landing new` guesses with.
"""
