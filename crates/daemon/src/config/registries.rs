//! What settings mean for registries: mirrors, insecure ones, limits of transfers, proxies.

use boxship_engine::EngineConfig;

use super::settings::Settings;
use super::{number, wrong};
use crate::error::Error;

/// Puts them into the engine's settings.
pub(super) fn resolve(settings: &Settings, engine: &mut EngineConfig) -> Result<(), Error> {
    engine.registry_mirrors = mirrors(settings)?;
    engine.insecure_registries = insecure(settings)?;
    engine.max_concurrent_downloads = limit(settings, "max-concurrent-downloads", 3)?;
    engine.max_concurrent_uploads = limit(settings, "max-concurrent-uploads", 5)?;
    engine.max_download_attempts = limit(settings, "max-download-attempts", 5)?;
    engine.http_proxy = proxy(settings, "http-proxy")?;
    engine.https_proxy = proxy(settings, "https-proxy")?;
    engine.no_proxy = proxy(settings, "no-proxy")?;
    if let Some(size) = settings.text("layer-cache-size") {
        let size = boxship_oci::go::size(size, 1024).map_err(wrong)?;
        engine.layer_cache_size =
            u64::try_from(size).map_err(|_| wrong("layer-cache-size must not be negative"))?;
    }
    Ok(())
}

fn mirrors(settings: &Settings) -> Result<Vec<String>, Error> {
    let check = |mirror: String| {
        let rest = mirror.strip_prefix("http://").or(mirror.strip_prefix("https://"));
        match rest {
            None => {
                Err(wrong(format!("invalid mirror: unsupported scheme in {mirror:?}: use http or https")))
            }
            Some(rest) if rest.is_empty() || rest.contains(['@', '?', '#', ' ']) => Err(wrong(format!(
                "invalid mirror: {mirror:?} must be a host, perhaps with a port and a path, without user, query or \
                 fragment"
            ))),
            // As Docker shows them.
            Some(_) => Ok(format!("{}/", mirror.strip_suffix('/').unwrap_or(&mirror))),
        }
    };
    let mut mirrors = Vec::new();
    for mirror in settings.list("registry-mirrors") {
        let mirror = check(mirror)?;
        if !mirrors.contains(&mirror) {
            mirrors.push(mirror);
        }
    }
    Ok(mirrors)
}

fn insecure(settings: &Settings) -> Result<Vec<String>, Error> {
    let check = |registry: String| match registry.contains("://") || registry.is_empty() {
        true => Err(wrong(format!("insecure registry {registry} should not contain '://'"))),
        false => Ok(registry),
    };
    settings.list("insecure-registries").into_iter().map(check).collect()
}

/// A number that must be positive.
fn limit<T: TryFrom<u64>>(settings: &Settings, name: &str, default: u64) -> Result<T, Error> {
    let value =
        number(settings, name, default).map_err(|_| wrong(format!("invalid {name}: must be positive")))?;
    let value = if value == 0 && settings.number(name) == Some(0) { default } else { value };
    T::try_from(value).map_err(|_| wrong(format!("invalid {name}: {value} is too large")))
}

/// The flag, the file's `proxies`, or the environment.
fn proxy(settings: &Settings, name: &str) -> Result<String, Error> {
    if let Some(flag) = settings.text(name) {
        return Ok(flag.to_owned());
    }
    match settings.pairs("proxies").and_then(|proxies| proxies.get(name)) {
        Some(value) => {
            let text = value.as_str().ok_or_else(|| wrong(format!("proxies: {name} must be a text")))?;
            Ok(text.to_owned())
        }
        None => {
            let upper = name.to_uppercase().replace('-', "_");
            let variable = std::env::var(&upper).or_else(|_| std::env::var(upper.to_lowercase()));
            Ok(variable.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<EngineConfig, String> {
        let mut settings = Settings::default();
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        object.into_iter().for_each(|(name, value)| settings.set(&name, value));
        let mut engine = EngineConfig::default();
        resolve(&settings, &mut engine).map(|()| engine).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_of_registries() {
        let engine = resolved(
            r#"{"registry-mirrors":["https://m.example/x","http://M:5000","http://n/","http://n"],"insecure-registries":["a:5000","10.0.0.0/8"],
                "max-concurrent-downloads":7,"proxies":{"https-proxy":"http://p:3128"},"layer-cache-size":"1g"}"#,
        )
        .unwrap();
        assert_eq!(engine.registry_mirrors, ["https://m.example/x/", "http://M:5000/", "http://n/"]);
        assert_eq!(engine.insecure_registries.len(), 2);
        assert_eq!((engine.max_concurrent_downloads, engine.layer_cache_size), (7, 1 << 30));
        assert_eq!(engine.https_proxy, "http://p:3128");
        for wrong in [
            r#"{"registry-mirrors":["m.example"]}"#,
            r#"{"registry-mirrors":["https://u:p@m.example"]}"#,
            r#"{"insecure-registries":["http://a"]}"#,
            r#"{"max-concurrent-uploads":-1}"#,
            r#"{"proxies":{"http-proxy":1}}"#,
            r#"{"layer-cache-size":"much"}"#,
        ] {
            assert!(resolved(wrong).is_err(), "{wrong}");
        }
    }
}
