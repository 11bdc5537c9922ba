"""Model families: the file name is the name of the family in the spec."""
