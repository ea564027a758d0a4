"""The rows of hosts_proof.py: one file for each kind of host."""
