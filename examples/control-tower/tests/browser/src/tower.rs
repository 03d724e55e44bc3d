//! A tower to look at.
