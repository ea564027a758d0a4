"""Several connections as one, on one I/O thread each: partition, failover, probes and silence.

Nothing here runs user code.
"""
