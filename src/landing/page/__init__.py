"""`landing report`: the status of all streams as one HTML page, for people without a terminal.

`facts` collects the data, `html` renders it, and `publishing` writes the page. A run that makes no
page imports none of them.
"""
