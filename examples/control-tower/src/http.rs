//! Handlers, one file per noun. Each extracts, loads, calls one pure function, commits and responds.

pub mod approle;
pub mod audit;
pub mod authority;
pub mod body;
pub mod bulk;
pub mod bundle;
pub mod caller;
pub mod config;
pub mod error;
pub mod federation;
mod hidden;
pub mod lineage;
pub mod login;
pub mod made;
pub mod oidc;
pub mod operations;
pub mod owner;
pub mod params;
pub mod peer;
pub mod policy;
pub mod rotation;
pub mod seal;
pub mod spiffe;
pub mod spiffe_login;
pub mod token;
pub mod transit;
pub mod vault;
