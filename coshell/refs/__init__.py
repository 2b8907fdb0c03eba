"""Who holds this object? Read `search.py` first."""
