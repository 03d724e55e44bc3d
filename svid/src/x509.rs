//! X.509-SVIDs (X509-SVID standard, RFC 5280).

pub mod authority;
