//! Every type as its string, checked on the way in.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::{Path, Pattern, SpiffeId, SpiffeIdRef, TrustDomain, TrustDomainRef};

macro_rules! owned {
    ($($type:ident: $what:literal),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_string(Owned { what: $what, made: PhantomData })
            }
        }
    )*};
}

macro_rules! borrowed {
    ($($type:ident: $what:literal),*) => {$(
        impl Serialize for $type<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        /// From input that holds the text as it is, without escapes.
        impl<'de: 'a, 'a> Deserialize<'de> for $type<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Borrowed { what: $what, made: PhantomData })
            }
        }
    )*};
}

owned!(
    SpiffeId: "a SPIFFE ID",
    TrustDomain: "the name of a trust domain",
    Path: "the path of a SPIFFE ID",
    Pattern: "a pattern of SPIFFE IDs"
);
borrowed!(SpiffeIdRef: "a SPIFFE ID", TrustDomainRef: "the name of a trust domain");

struct Owned<T> {
    what: &'static str,
    made: PhantomData<T>,
}

impl<T> Visitor<'_> for Owned<T>
where
    T: TryFrom<String, Error = crate::Error> + for<'s> TryFrom<&'s str, Error = crate::Error>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::try_from(text).map_err(E::custom)
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<T, E> {
        T::try_from(text).map_err(E::custom)
    }
}

struct Borrowed<T> {
    what: &'static str,
    made: PhantomData<T>,
}

impl<'de, T: TryFrom<&'de str, Error = crate::Error>> Visitor<'de> for Borrowed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} that can be borrowed", self.what)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<T, E> {
        T::try_from(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_str, from_value, json, to_string};

    #[test]
    fn every_type_is_its_string() {
        fn both_ways<T: Serialize + for<'de> Deserialize<'de> + PartialEq + fmt::Debug>(text: &str) {
            let json = format!("\"{text}\"");
            let read: T = from_str(&json).unwrap();
            assert_eq!(to_string(&read).unwrap(), json);
            assert_eq!(from_value::<T>(json!(text)).unwrap(), read);
        }
        both_ways::<SpiffeId>("spiffe://td/a");
        both_ways::<TrustDomain>("td");
        both_ways::<Path>("/a/b");
        both_ways::<Path>("");
        both_ways::<Pattern>("spiffe://td/*/x/**");
    }

    #[test]
    fn borrowed_types_borrow() {
        let json = "\"spiffe://td/a\"";
        let id: SpiffeIdRef<'_> = from_str(json).unwrap();
        assert_eq!(id.as_str(), "spiffe://td/a");
        assert_eq!(to_string(&id.trust_domain()).unwrap(), "\"td\"");
        assert_eq!(from_str::<TrustDomainRef<'_>>("\"td\"").unwrap(), id.trust_domain());
        assert_eq!(
            from_str::<TrustDomainRef<'_>>(r#""\u0074d""#).unwrap_err().to_string(),
            "invalid type: string \"td\", expected the name of a trust domain that can be borrowed \
             at line 1 column 9",
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(
            from_str::<SpiffeId>("\"spiffe://td/a/\"").unwrap_err().to_string(),
            "the path ends with `/` at line 1 column 16",
        );
        assert_eq!(
            from_str::<Pattern>("7").unwrap_err().to_string(),
            "invalid type: integer `7`, expected a pattern of SPIFFE IDs at line 1 column 1",
        );
    }
}
