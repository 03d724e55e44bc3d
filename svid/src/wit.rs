//! WIT-SVIDs and workload proof tokens (incubating).
