"""Episodes: a few labelled support images per class and the queries to label with them."""
