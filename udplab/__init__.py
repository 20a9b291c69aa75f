"""udplab: UDP taught by live experiments on real sockets, in Jupyter and from the command line."""

import sys

if sys.argv[:1] == ["-m"]:  # one of our programs is being started, and this is the first of our code that runs
    from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal  # C code, without the enums of `signal`

    # Ctrl-C ends it without a traceback also while the rest is being imported; `kit.terminal.run` takes over in the
    # end. Before this, Python itself starts, and nothing of ours can help. What a shell ignores stays ignored.
    try:
        if getsignal(SIGINT) is default_int_handler:
            signal(SIGINT, SIG_DFL)
    except KeyboardInterrupt:  # it came a moment before
        sys.exit(130)

__version__ = "0.1.0"
