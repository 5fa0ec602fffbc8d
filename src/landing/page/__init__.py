"""`landing report`: how all streams are, as one page for people who have no terminal.

`facts` gathers, `html` draws, `publishing` puts the page where people find it. None of them is
imported by a run that makes no page.
"""
