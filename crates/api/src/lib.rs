//! Engine API wire types, versions, stream framing, filters and the error body. Pure data.
