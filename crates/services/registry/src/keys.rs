//! Where things lie in the store: `registry/…` and `addresses/…`.
//!
//! Keys are paths of names. Names hold no slash, which is checked on the way in, so splitting a key
//! gives back exactly what made it.

use crate::Error;

/// Above all registrations.
pub(crate) const REGISTRY: &str = "registry/";
/// Above all addresses.
pub(crate) const ADDRESSES: &str = "addresses/";

/// Refuses a name that would make a key mean something else.
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.is_empty() && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::BadName { what, name: name.into() })
}
