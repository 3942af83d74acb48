//! What tests share: temporary hosts, images and the privilege gate.
