"""The life of a server, whichever plugin has it: `server` and `http` are two ways to ask for it.

It lies beside them and not in one of them, because a plugin that is unloaded is forgotten with all its classes, and
the servers of the other one go on.
"""
