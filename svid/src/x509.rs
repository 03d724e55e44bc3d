//! X.509-SVIDs (X509-SVID standard, RFC 5280).

pub mod authority;
mod delegation;
#[allow(dead_code, unused_imports)] // until all that reads and writes certificates is here
mod der;
