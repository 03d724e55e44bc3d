//! A document that is fetched again and again: when to fetch, how long the last good one serves.
