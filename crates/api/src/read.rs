//! How Go's `encoding/json` reads `null`: it leaves the zero value, wherever it stands, inside lists and maps too.
//! Clients written in Go send it for every nil slice, map and pointer.
//!
//! [`Read`] is what the types of wire fields implement beside serde's own trait. It never judges: what is no value
//! of the type stays an error, and what a zero value means is the engine's business.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A type that may stand in a wire structure.
pub(crate) trait Read<'de>: Default {
    /// Reads a value that is there, with whatever is `null` inside it.
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// A value by [`Read`], for serde.
struct There<T>(T);

impl<'de, T: Read<'de>> Deserialize<'de> for There<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}

/// A value that may be `null`.
struct Nullable<T>(T);

impl<'de, T: Read<'de>> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        null_is_default(deserializer).map(Self)
    }
}

/// Reads a field where Go would accept `null` as "leave the zero value".
pub(crate) fn null_is_default<'de, D: Deserializer<'de>, T: Read<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<There<T>>::deserialize(deserializer)?.map_or_else(T::default, |there| there.0))
}

/// Types that have nothing inside which could be `null`, or see to it themselves.
macro_rules! plain {
    ($($name:ty),* $(,)?) => { $(
        impl<'de> crate::read::Read<'de> for $name {
            fn read<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }
        }
    )* };
}
pub(crate) use plain;

plain!(bool, u8, u16, u32, u64, i64, f64, String, serde_json::Value, boxship_oci::Platform);

impl<'de, T: Read<'de>> Read<'de> for Option<T> {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Some)
    }
}

impl<'de, T: Read<'de>> Read<'de> for Vec<T> {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// What is missing is zero, what is too much is left out.
impl<'de, T: Read<'de>> Read<'de> for [T; 2] {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut items = Vec::read(deserializer)?.into_iter();
        Ok(std::array::from_fn(|_| items.next().unwrap_or_default()))
    }
}

impl<'de, T: Read<'de>> Read<'de> for BTreeMap<String, T> {
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Map(PhantomData))
    }
}

struct List<T>(PhantomData<T>);

impl<'de, T: Read<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(Nullable(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list)
    }
}

struct Map<T>(PhantomData<T>);

impl<'de, T: Read<'de>> Visitor<'de> for Map<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, Nullable(value))) = entries.next_entry()? {
            map.insert(name, value);
        }
        Ok(map)
    }
}
