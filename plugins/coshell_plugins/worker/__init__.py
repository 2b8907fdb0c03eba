"""The program of a worker process, and what it shares with its master: their channel, and what is sent to be served.

It lies beside the `server` plugin and not in it, because it needs nothing of the shell: so it starts in half the time.
"""
