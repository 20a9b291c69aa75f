"""Imported first by every program: Ctrl-C ends it without a traceback also while the rest is being imported.

Before that Python itself starts, and nothing of ours can help. In the end `udplab.kit.terminal.run` takes over.
A Ctrl-C that the user's shell ignores stays ignored.
"""

from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal  # C code, without the enums of `signal`

if getsignal(SIGINT) is default_int_handler:
    signal(SIGINT, SIG_DFL)
