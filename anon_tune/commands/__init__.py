"""The commands of the command line, as typed Python functions."""
