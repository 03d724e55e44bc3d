//! Verifiers and configurations for rustls that authorize peers by SPIFFE ID.
