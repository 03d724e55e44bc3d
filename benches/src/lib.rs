//! One bench per hot path; see `benches/`.
