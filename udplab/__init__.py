"""udplab: UDP taught by live experiments on real sockets, in Jupyter and from the command line."""

import sys

if sys.argv[:1] == ["-m"]:  # one of our programs is being started, and this is the first of our code that runs
    import udplab.kit.early  # noqa: F401

__version__ = "0.1.0"
