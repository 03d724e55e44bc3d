//! The pages: what people see of the tower in a browser.
//!
//! Each page is a view, a function from a plain struct to markup, and handlers that fill the struct and take what its forms
//! send. Views know neither the store nor the time; handlers decide nothing: they call what the JSON interface calls. Markup is
//! made with `maud`, which escapes whatever it is given, so a name is never markup.
//!
//! Everything comes from the tower itself: [`assets`] are in the binary, and [`security`] forbids the browser everything else.

pub mod account;
pub mod assets;
pub mod call_home;
pub mod component;
pub mod enrol;
pub mod form;
pub mod home;
pub mod hosts;
pub mod icon;
pub mod install;
pub mod layout;
pub mod login;
pub mod problem;
pub mod proof;
pub mod qr;
pub mod security;
pub mod step;
pub mod timeline;
pub mod users;
