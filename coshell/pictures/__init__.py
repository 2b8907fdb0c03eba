"""Pictures of memory: curves in the terminal, flame graphs, and the page that a run leaves behind."""
