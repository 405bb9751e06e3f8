"""Traces: recorded in a durable spool on this machine, and carried to an Opik server from there."""
