"""HTTP/1.1, at both ends: what makes a handler of connections out of an app, and what asks a server.

It lies beside the `http` plugin and not in it, because it needs nothing of the shell: worker processes answer requests
too, and to import a module of the plugin would be to import the plugin, and the whole shell with it.
"""
