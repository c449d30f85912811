# Nothing for Python: what the other modules share.
