"""The plugins that coshell ships, one file or folder each."""
