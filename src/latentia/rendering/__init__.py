"""Renderers: from a run and its model to pictures, with the recipe of what made them.

Free of widgets and of the command line, which both call the same functions.
"""
