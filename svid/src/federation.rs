//! Federation (SPIFFE Federation §5) as a machine without I/O.
