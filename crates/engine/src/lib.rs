//! The domain: containers, exec, images, events. No HTTP.
