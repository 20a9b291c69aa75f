"""udplab: UDP taught by live experiments on real sockets, in Jupyter and from the command line."""

__version__ = "0.1.0"
