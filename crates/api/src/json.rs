//! How Go's `encoding/json` reads and writes, said once: `null` means absent, unknown fields are ignored,
//! `omitempty` leaves out zero values. The macro [`wire!`](crate::json) gives every wire structure these rules;
//! it must never validate: a request is understood first and judged by the engine.

use serde::{Deserialize, Deserializer, Serialize};

/// Whether Go's `omitempty` leaves the value out.
pub(crate) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Go's `struct{}`: the value of a JSON object used as a set. Written `{}`, read from anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Empty;

impl Serialize for Empty {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        serializer.serialize_map(Some(0))?.end()
    }
}

crate::read::plain!(Empty);

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer)?;
        Ok(Self)
    }
}

/// Declares wire structures whose every field may be absent or `null`, in the field order Docker writes.
/// Names become PascalCase unless a field is renamed; `opt` before a field is Go's `omitempty`.
macro_rules! wire {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident { $($body:tt)* }
    )*) => { $(
        crate::json::wire!(@fields [$(#[$meta])*] $name [] $($body)*);
    )* };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*]) => {
        $($meta)*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        pub struct $name { $($done)* }

        crate::read::plain!($name);
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] $(#[$field_meta:meta])* opt $field:ident : $ty:ty, $($rest:tt)*) => {
        crate::json::wire!(@fields [$($meta)*] $name [$($done)*
            $(#[$field_meta])*
            #[serde(deserialize_with = "crate::read::null_is_default", skip_serializing_if = "crate::json::is_zero")]
            pub $field: $ty,
        ] $($rest)*);
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] $(#[$field_meta:meta])* flat $field:ident : $ty:ty, $($rest:tt)*) => {
        crate::json::wire!(@fields [$($meta)*] $name [$($done)*
            $(#[$field_meta])*
            #[serde(flatten)]
            pub $field: $ty,
        ] $($rest)*);
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] $(#[$field_meta:meta])* pub $field:ident : $ty:ty, $($rest:tt)*) => {
        crate::json::wire!(@fields [$($meta)*] $name [$($done)*
            $(#[$field_meta])*
            #[serde(deserialize_with = "crate::read::null_is_default")]
            pub $field: $ty,
        ] $($rest)*);
    };
}

/// Declares string types of the wire: any text is kept, what it means is asked by methods.
macro_rules! wire_string {
    ($( $(#[$meta:meta])* $name:ident; )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        crate::read::plain!($name);

        impl $name {
            /// The text as it was sent.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether nothing was asked for.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    )* };
}

pub(crate) use wire;
pub(crate) use wire_string;

#[cfg(test)]
mod tests {
    use super::*;

    wire! {
        /// A sample.
        pub struct Sample {
            /// Plain.
            pub plain_name: i64,
            /// Nullable.
            pub list: Option<Vec<String>>,
            /// Omitted when empty.
            opt omitted: String,
            /// Renamed.
            #[serde(rename = "IPv6")]
            opt six: Option<bool>,
            /// A set.
            pub set: std::collections::BTreeMap<String, Empty>,
        }
    }

    #[test]
    fn absent_and_null_are_the_zero_value() {
        let read: Sample = serde_json::from_str(
            r#"{"PlainName":null,"List":null,"Unknown":[1],"Omitted":null,"IPv6":null}"#,
        )
        .unwrap();
        assert_eq!(read, Sample::default());
    }

    #[test]
    fn zero_values_are_written_as_go_does() {
        let text = serde_json::to_string(&Sample::default()).unwrap();
        assert_eq!(text, r#"{"PlainName":0,"List":null,"Set":{}}"#);
        let set = Sample { six: Some(false), set: [("a".into(), Empty)].into(), ..Default::default() };
        let text = serde_json::to_string(&set).unwrap();
        assert_eq!(text, r#"{"PlainName":0,"List":null,"IPv6":false,"Set":{"a":{}}}"#);
        assert_eq!(serde_json::from_str::<Sample>(&text).unwrap(), set);
    }
}
