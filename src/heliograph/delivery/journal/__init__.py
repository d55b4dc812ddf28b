"""Where records wait: the format of the files, what writes them, and what reads them."""
