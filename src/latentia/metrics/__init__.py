"""How good a model is, in figures that state what they were measured on."""
