"""A small instance of every family, and one page that shows them all."""
